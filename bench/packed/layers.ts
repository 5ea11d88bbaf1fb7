import type { ConvShape } from '../../src/kernels/convShape.ts';

/** A layer to measure: a convolution, or a dense layer with m vectors. */
export interface BenchLayer {
  name: string;
  rows: number;
  k: number;
  shape: ConvShape | { m: number };
}

export const LAYERS: readonly BenchLayer[] = [
  ...[1, 32].map((n) => ({ name: `conv 3×3 64→64 16×16, batch ${n}`, rows: 64, k: 576, shape: square(n, 64, 16, 3) })),
  ...[1, 32].map((m) => ({ name: `dense 1024×1024, batch ${m}`, rows: 1024, k: 1024, shape: { m } })),
];

function square(n: number, channels: number, size: number, kernel: number): ConvShape {
  const pad = (kernel - 1) / 2;
  const lengths = { n, ic: channels, ih: size, iw: size, oc: channels, oh: size, ow: size, kh: kernel, kw: kernel };
  const steps = { strideH: 1, strideW: 1, dilH: 1, dilW: 1, groups: 1 };
  return { ...lengths, ...steps, padTop: pad, padLeft: pad, padBottom: pad, padRight: pad };
}

export function inputElements({ shape, k }: BenchLayer): number {
  return 'm' in shape ? shape.m * k : shape.n * shape.ic * shape.ih * shape.iw;
}

export function outputElements({ shape, rows }: BenchLayer): number {
  return 'm' in shape ? shape.m * rows : shape.n * rows * shape.oh * shape.ow;
}

/** The layer in double precision. */
export function reference(x: Float32Array, w: Float32Array, layer: BenchLayer): Float64Array {
  const { rows, k, shape } = layer;
  const out = new Float64Array(outputElements(layer));
  if ('m' in shape) {
    for (let item = 0; item < shape.m; item++) {
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += w[row * k + i]! * x[item * k + i]!;
        out[item * rows + row] = sum;
      }
    }
    return out;
  }
  const { n, ic, ih, iw, oc, oh, ow, kh, kw, padTop, padLeft, groups } = shape;
  const groupIn = ic / groups;
  for (let plane = 0; plane < n * oc; plane++) {
    const row = plane % oc;
    const first = Math.floor(plane / oc) * ic + Math.floor(row / (oc / groups)) * groupIn;
    for (let i = 0; i < k; i++) {
      const weight = w[row * k + i]!;
      const dy = (Math.floor(i / kw) % kh) - padTop;
      const dx = (i % kw) - padLeft;
      const source = (first + Math.floor(i / (kh * kw))) * ih * iw;
      for (let y = Math.max(0, -dy); y < Math.min(oh, ih - dy); y++) {
        for (let column = Math.max(0, -dx); column < Math.min(ow, iw - dx); column++) {
          out[(plane * oh + y) * ow + column]! += weight * x[source + (y + dy) * iw + column + dx]!;
        }
      }
    }
  }
  return out;
}

/** Largest difference through the largest value. */
export function worst(actual: Float32Array, expected: Float64Array): number {
  let scale = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
  }
  return difference / scale;
}
