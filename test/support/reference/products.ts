import { broadcast } from './binary.ts';
import { type Array64, array64, operand, type Reference } from './reference.ts';

function numbers(value: unknown, fallback: readonly number[]): number[] {
  return value === undefined ? [...fallback] : Array.from(value as ArrayLike<number>, Number);
}

/** Conv over two axes, or over one as over two of which the first has length 1; explicit pads only. */
export const conv: Reference = (call) => {
  const [x, w, bias] = [operand(call, 0), operand(call, 1), call.inputs[2]];
  const axes = w.shape.length - 2;
  const ones = new Array<number>(axes).fill(1);
  const flat = axes === 1;
  const two = (values: readonly number[], fill: number): [number, number] =>
    flat ? [fill, values[0]!] : [values[0]!, values[1]!];
  const pads = numbers(call.attributes.pads, new Array<number>(2 * axes).fill(0));
  const [sy, sx] = two(numbers(call.attributes.strides, ones), 1);
  const [dy, dx] = two(numbers(call.attributes.dilations, ones), 1);
  const [top, left] = two(pads, 0);
  const [bottom, right] = two(pads.slice(axes), 0);
  const groups = Number(call.attributes.group ?? 1);
  const [n, ic] = x.shape as [number, number];
  const [oc, groupIn] = w.shape as [number, number];
  const [h, width] = two(x.shape.slice(2), 1);
  const [kh, kw] = two(w.shape.slice(2), 1);
  const oh = Math.floor((h + top + bottom - (kh - 1) * dy - 1) / sy + 1);
  const ow = Math.floor((width + left + right - (kw - 1) * dx - 1) / sx + 1);
  const out = array64([n, oc, ...(flat ? [ow] : [oh, ow])]);
  let at = 0;
  for (let image = 0; image < n; image++) {
    for (let channel = 0; channel < oc; channel++) {
      const first = image * ic + Math.floor(channel / (oc / groups)) * groupIn;
      for (let oy = 0; oy < oh; oy++) {
        for (let ox = 0; ox < ow; ox++) {
          let sum = bias?.data[channel] ?? 0;
          for (let c = 0; c < groupIn; c++) {
            for (let ky = 0; ky < kh; ky++) {
              const y = oy * sy + ky * dy - top;
              if (y < 0 || y >= h) continue;
              for (let kx = 0; kx < kw; kx++) {
                const column = ox * sx + kx * dx - left;
                if (column < 0 || column >= width) continue;
                sum +=
                  x.data[((first + c) * h + y) * width + column]! *
                  w.data[((channel * groupIn + c) * kh + ky) * kw + kx]!;
              }
            }
          }
          out.data[at++] = sum;
        }
      }
    }
  }
  return [out];
};

/** NumPy's matmul. */
export function matMul(a: Array64, b: Array64): Array64 {
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  // Batch shapes broadcast like the elements of an elementwise operator: numbers of matrices stand for matrices.
  const count = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
  const numbered = (shape: readonly number[]) =>
    array64(
      shape.slice(0, -2),
      Array.from({ length: count(shape.slice(0, -2)) }, (_, i) => i),
    );
  const fromA = broadcast(numbered(left), array64(numbered(right).shape), (x) => x);
  const fromB = broadcast(array64(numbered(left).shape), numbered(right), (_, y) => y);
  const data = new Float64Array(fromA.data.length * m * n);
  fromA.data.forEach((matrixA, batch) => {
    const matrixB = fromB.data[batch]!;
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a.data[(matrixA * m + i) * k + l]! * b.data[(matrixB * k + l) * n + j]!;
        data[(batch * m + i) * n + j] = sum;
      }
    }
  });
  const shape = [...fromA.shape, ...(a.shape.length === 1 ? [] : [m]), ...(b.shape.length === 1 ? [] : [n])];
  return array64(shape, data);
}

export function transpose(matrix: Array64): Array64 {
  const [rows, columns] = matrix.shape as [number, number];
  const out = array64([columns, rows]);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out.data[j * rows + i] = matrix.data[i * columns + j]!;
  }
  return out;
}

export const productReferences: Readonly<Record<string, Reference>> = {
  Conv: conv,
  MatMul: (call) => [matMul(operand(call, 0), operand(call, 1))],
  Gemm(call) {
    const { alpha = 1, beta = 1, transA, transB } = call.attributes;
    const a = Number(transA ?? 0) ? transpose(operand(call, 0)) : operand(call, 0);
    const b = Number(transB ?? 0) ? transpose(operand(call, 1)) : operand(call, 1);
    const product = matMul(a, b);
    const scaled = array64(
      product.shape,
      product.data.map((value) => Number(alpha) * value),
    );
    const c = call.inputs[2];
    return [c ? broadcast(scaled, c, (x, y) => x + Number(beta) * y) : scaled];
  },
};
