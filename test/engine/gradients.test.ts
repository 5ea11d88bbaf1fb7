import { describe, expect, it } from 'vitest';
import { findGradient } from '../../src/engine/ops/gradients.ts';
import { supportedOperators } from '../../src/engine/registry.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import { checkGradients, type GradientCheck } from '../support/gradient.ts';
import { randomFloats } from '../support/numbers.ts';
import { array64, operand, type Reference } from '../support/reference/reference.ts';

/** 24 numbers from −3.8 to 3.8, none of them on a kink of an activation (0, ±3, the bounds of Clip below). */
const acrossKinks = { shape: [24], data: Float32Array.from({ length: 24 }, (_, i) => (i - 11.5) / 3) };

/** Distinct numbers in no order, a fiftieth apart or more: a small step changes no maximum. */
const distinct = (shape: readonly number[]) => {
  const elements = shape.reduce((product, length) => product * length, 1);
  return { shape, data: Float32Array.from({ length: elements }, (_, i) => ((i * 37) % 97) / 48.5 - 1) };
};

const quantized = {
  weight: { shape: [3, 4, 2], data: randomFloats(1, 24), initializer: true },
  scale: { shape: [3], data: Float32Array.of(0.11, 0.23, 0.37), initializer: true },
  attributes: { bits: 3, signed: 1, narrow: 1, axis: 0 },
};

/**
 * The function whose derivative LSQ takes for that of its quantizer (Esser et al. 2020): rounding errors
 * stay as they are at the given weights, and the scale moves by g = 1/√(N·Qp) of its change.
 */
const lsqSurrogate: Reference = (call) => {
  const [x, scale] = [operand(call, 0), operand(call, 1)];
  const [low, high] = [-3, 3];
  const g = 1 / Math.sqrt(8 * high);
  const clamp = (v: number) => Math.min(Math.max(v, low), high);
  const values = x.data.map((value, i) => {
    const channel = Math.floor(i / 8);
    const [w0, s0] = [quantized.weight.data[i]!, quantized.scale.data[channel]!];
    const error = Math.round(clamp(w0 / s0)) - clamp(w0 / s0);
    const s = s0 + g * (scale.data[channel]! - s0);
    return s * (clamp(value / s) + error);
  });
  return [array64(x.shape, values)];
};

const pair = { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1], data: Float32Array.of(0.5, -1.25, 2) }] };
const view = { inputs: [{ shape: [2, 1, 6] }] };

/** A representative case of every operator; test/engine/ops has the others. */
const cases: Readonly<Record<string, Omit<GradientCheck, 'op'>>> = {
  Relu: { inputs: [acrossKinks] },
  LeakyRelu: { inputs: [acrossKinks], attributes: { alpha: 0.2 } },
  Clip: { inputs: [acrossKinks], constants: { 1: floatTensor([], [-1.25]), 2: floatTensor([], [2.1]) } },
  Sigmoid: { inputs: [acrossKinks] },
  Tanh: { inputs: [acrossKinks] },
  HardSwish: { inputs: [acrossKinks] },
  Add: pair,
  Sub: pair,
  Mul: pair,
  Div: pair,
  Conv: {
    inputs: [{ shape: [2, 4, 5, 6] }, { shape: [6, 2, 3, 2], initializer: true }, { shape: [6], initializer: true }],
    attributes: { group: 2, strides: [2, 1], dilations: [1, 2], pads: [1, 1, 0, 2] },
  },
  Gemm: {
    inputs: [{ shape: [4, 3] }, { shape: [5, 3], initializer: true }, { shape: [5], initializer: true }],
    attributes: { transB: 1, alpha: 0.5, beta: 2 },
  },
  MatMul: { inputs: [{ shape: [2, 3, 4] }, { shape: [4, 5] }] },
  BatchNormalization: {
    inputs: [{ shape: [3, 2, 2, 3] }, { shape: [2], initializer: true }, { shape: [2], initializer: true }],
    constants: { 3: floatTensor([2], [0.1, -0.2]), 4: floatTensor([2], [0.8, 1.5]) },
    training: true,
    tolerance: 2e-4,
  },
  MaxPool: { inputs: [distinct([1, 2, 6, 7])], attributes: { kernel_shape: [3, 3], strides: [2, 2] } },
  AveragePool: { inputs: [distinct([1, 2, 5, 6])], attributes: { kernel_shape: [3, 2], pads: [1, 0, 1, 1] } },
  GlobalMaxPool: { inputs: [distinct([2, 3, 3, 4])] },
  GlobalAveragePool: { inputs: [distinct([2, 3, 3, 4])] },
  Softmax: { inputs: [{ shape: [3, 5] }] },
  LogSoftmax: { inputs: [{ shape: [3, 5] }] },
  ReduceMean: { inputs: [{ shape: [2, 3, 4] }], constants: { 1: int64Tensor([1]) }, attributes: { keepdims: 0 } },
  Transpose: { inputs: [{ shape: [2, 3, 4] }], attributes: { perm: [2, 0, 1] } },
  Slice: {
    inputs: [{ shape: [4, 6] }],
    constants: { 1: int64Tensor([1]), 2: int64Tensor([6]), 3: int64Tensor([1]), 4: int64Tensor([2]) },
  },
  Concat: { inputs: [{ shape: [2, 3] }, { shape: [2, 2] }], attributes: { axis: 1 } },
  Pad: { inputs: [{ shape: [3, 4] }], constants: { 1: int64Tensor([1, -1, 0, 2]) } },
  Gather: { inputs: [{ shape: [4, 3] }], constants: { 1: int64Tensor([2, 0, 2]) }, attributes: { axis: 0 } },
  Reshape: { ...view, constants: { 1: int64Tensor([3, 4]) } },
  Flatten: { ...view, attributes: { axis: 2 } },
  Squeeze: { ...view, constants: { 1: int64Tensor([1]) } },
  Unsqueeze: { ...view, constants: { 1: int64Tensor([0]) } },
  Identity: view,
  Dropout: view,
  'wgslim.FakeQuantize': {
    inputs: [quantized.weight, quantized.scale],
    attributes: quantized.attributes,
    reference: lsqSurrogate,
  },
};

describe('gradients of every operator', () => {
  it('have a case here', () => {
    expect(Object.keys(cases).sort()).toEqual([...supportedOperators].sort());
    for (const op of supportedOperators) expect(findGradient(op), op).toBeTypeOf('function');
  });

  it.each(Object.entries(cases))('%s agrees with central differences', async (op, check) => {
    const { gradients } = await checkGradients({ op, ...check });
    // A case that asks for no gradient, or whose gradients vanish, would agree with anything.
    expect(Object.keys(gradients)).toHaveLength(check.inputs.length);
    for (const [name, gradient] of Object.entries(gradients)) {
      expect(
        gradient.some((value) => Math.abs(value) > 1e-3),
        `gradient by ${name}`,
      ).toBe(true);
    }
  });
});
