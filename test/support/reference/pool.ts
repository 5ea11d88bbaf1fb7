import { type Array64, array64, operand, type Reference, type ReferenceCall } from './reference.ts';

interface Axis {
  input: number;
  output: number;
  kernel: number;
  stride: number;
  dilation: number;
  begin: number;
  end: number;
}

/** Output lengths and padding by the ONNX definition of the pooling operators. */
function axes({ attributes }: ReferenceCall, spatial: readonly number[]): Axis[] {
  const list = (name: string) => attributes[name] as readonly number[] | undefined;
  const autoPad = String(attributes.auto_pad ?? 'NOTSET');
  return spatial.map((input, i) => {
    const kernel = list('kernel_shape')![i]!;
    const stride = list('strides')?.[i] ?? 1;
    const dilation = list('dilations')?.[i] ?? 1;
    const extent = (kernel - 1) * dilation + 1;
    let [begin, end] = [list('pads')?.[i] ?? 0, list('pads')?.[i + spatial.length] ?? 0];
    if (autoPad.startsWith('SAME')) {
      const total = Math.max((Math.ceil(input / stride) - 1) * stride + extent - input, 0);
      begin = autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
      end = total - begin;
    } else if (autoPad === 'VALID') {
      [begin, end] = [0, 0];
    }
    const steps = (input + begin + end - extent) / stride;
    let output = (attributes.ceil_mode ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (attributes.ceil_mode && (output - 1) * stride >= input + begin) output--;
    return { input, output, kernel, stride, dilation, begin, end };
  });
}

/** Reduces every window's elements. `counted` is how many cells lie in the input or its padding. */
function pool(x: Array64, windows: Axis[], reduce: (values: number[], counted: number) => number): Array64 {
  const [n = 1, c = 1] = x.shape;
  const [h, w] = (windows.length === 1 ? [undefined, windows[0]] : windows) as [Axis | undefined, Axis];
  const rows = h ?? { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };
  const y = array64([n, c, ...windows.map(({ output }) => output)]);
  let at = 0;
  for (let plane = 0; plane < n * c; plane++) {
    for (let oy = 0; oy < rows.output; oy++) {
      for (let ox = 0; ox < w.output; ox++) {
        const values: number[] = [];
        let counted = 0;
        for (let ky = 0; ky < rows.kernel; ky++) {
          for (let kx = 0; kx < w.kernel; kx++) {
            const iy = oy * rows.stride - rows.begin + ky * rows.dilation;
            const ix = ox * w.stride - w.begin + kx * w.dilation;
            if (iy < rows.input + rows.end && ix < w.input + w.end) counted++;
            if (iy < 0 || iy >= rows.input || ix < 0 || ix >= w.input) continue;
            values.push(x.data[(plane * rows.input + iy) * w.input + ix]!);
          }
        }
        y.data[at++] = reduce(values, counted);
      }
    }
  }
  return y;
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: number[]) => sum(values) / Math.max(1, values.length);
const most = (values: number[]) => Math.max(...values);

const windowed =
  (reduceOf: (call: ReferenceCall) => (values: number[], counted: number) => number): Reference =>
  (call) => {
    const x = operand(call, 0);
    return [pool(x, axes(call, x.shape.slice(2)), reduceOf(call))];
  };

const overPlanes =
  (reduce: (values: number[]) => number): Reference =>
  (call) => {
    const x = operand(call, 0);
    const [n = 1, c = 1, ...rest] = x.shape;
    const plane = rest.reduce((product, length) => product * length, 1);
    const planes = Array.from({ length: n * c }, (_, i) =>
      reduce(Array.from(x.data.slice(i * plane, (i + 1) * plane))),
    );
    return [array64([n, c, ...rest.map(() => 1)], planes)];
  };

export const poolReferences: Readonly<Record<string, Reference>> = {
  MaxPool: windowed(() => most),
  AveragePool: windowed(({ attributes }) =>
    attributes.count_include_pad ? (values, counted) => sum(values) / counted : mean,
  ),
  GlobalMaxPool: overPlanes(most),
  GlobalAveragePool: overPlanes(mean),
};
