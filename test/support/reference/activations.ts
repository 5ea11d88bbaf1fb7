import { array64, operand, type Reference } from './reference.ts';

const elementwise =
  (f: (x: number, parameter: (name: string, fallback: number) => number) => number): Reference =>
  (call) => {
    const x = operand(call, 0);
    const parameter = (name: string, fallback: number) => Number(call.attributes[name] ?? fallback);
    return [
      array64(
        x.shape,
        x.data.map((value) => f(value, parameter)),
      ),
    ];
  };

export const activationReferences: Readonly<Record<string, Reference>> = {
  Relu: elementwise((x) => Math.max(x, 0)),
  LeakyRelu: elementwise((x, parameter) => (x >= 0 ? x : parameter('alpha', 0.01) * x)),
  Sigmoid: elementwise((x) => 1 / (1 + Math.exp(-x))),
  Tanh: elementwise(Math.tanh),
  HardSwish: elementwise((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Clip(call) {
    const [low, high] = [call.inputs[1]?.data[0] ?? -Infinity, call.inputs[2]?.data[0] ?? Infinity];
    return elementwise((x) => Math.min(Math.max(x, low), high))(call);
  },
};
