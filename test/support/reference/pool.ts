import {
  type Array64,
  array64,
  eachIndex,
  operand,
  type Reference,
  type ReferenceCall,
  stridesOf,
} from './reference.ts';

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
  const [n = 1, c = 1, ...spatial] = x.shape;
  const strides = stridesOf(spatial);
  const plane = spatial.reduce((product, length) => product * length, 1);
  const y = array64([n, c, ...windows.map(({ output }) => output)]);
  eachIndex(y.shape, ([image = 0, channel = 0, ...out], at) => {
    const values: number[] = [];
    let counted = 0;
    const start = (image * c + channel) * plane;
    eachIndex(
      windows.map(({ kernel }) => kernel),
      (tap) => {
        const position = windows.map(({ stride, dilation, begin }, i) => out[i]! * stride - begin + tap[i]! * dilation);
        if (windows.every(({ input, end }, i) => position[i]! < input + end)) counted++;
        if (windows.some(({ input }, i) => position[i]! < 0 || position[i]! >= input)) return;
        values.push(x.data[position.reduce((sum, p, i) => sum + p * strides[i]!, start)]!);
      },
    );
    y.data[at] = reduce(values, counted);
  });
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
