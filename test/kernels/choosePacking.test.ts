import { describe, expect, it } from 'vitest';
import type { ChoiceAdapter, LayerFacts } from '../../src/kernels/chooseDense.ts';
import { choosePacking } from '../../src/kernels/choosePacking.ts';
import type { WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { random } from '../support/numbers.ts';
import { randomWeights } from '../support/weightMatrices.ts';

const lavapipe = { kind: 'cpu', subgroupSize: 8 } as const;
const swiftShader = { kind: 'cpu', subgroupSize: 4 } as const;
const gpuOfFour = { kind: 'gpu', subgroupSize: 4 } as const;
const convolution: LayerFacts = { groups: 1, taps: 9, quantizedInput: false, columns: 256 };
const dense: LayerFacts = { groups: 1, taps: 1, quantizedInput: false, columns: 1 };
const depthwise: LayerFacts = { ...convolution, groups: 64 };
const quantized = (facts: LayerFacts): LayerFacts => ({ ...facts, quantizedInput: true });

/** A random tenth of the weights is kept; every weight of the others is the code of zero. */
function pruned(matrix: WeightMatrix, kept: number): WeightMatrix {
  const next = random(5);
  const { values } = matrix;
  if (values.kind === 'int') {
    return { ...matrix, values: { ...values, codes: values.codes.map((code) => (next() < kept ? code || 1 : 0)) } };
  }
  if (values.kind !== 'f32') throw new Error('only int and f32 here');
  return { ...matrix, values: { kind: 'f32', data: values.data.map((value) => (next() < kept ? value : 0)) } };
}

describe('the form of packed weights', () => {
  const choices: [string, ChoiceAdapter, WeightMatrix, LayerFacts, string][] = [
    ['float32', lavapipe, randomWeights('f32', 64, 576), convolution, 'float'],
    ['float16', lavapipe, randomWeights('f16', 64, 576), convolution, 'dense'],
    ['four bits', lavapipe, randomWeights('int4', 64, 576), convolution, 'dense'],
    ['eight bits, float input', lavapipe, randomWeights('int8', 64, 576), convolution, 'dense'],
    ['eight bits, quantized input', lavapipe, randomWeights('int8', 64, 576), quantized(convolution), 'int8'],
    ['four bits, quantized input', lavapipe, randomWeights('int4', 64, 576), quantized(convolution), 'int8'],
    ['two bits, quantized input', lavapipe, randomWeights('int2', 64, 576), quantized(convolution), 'int8'],
    ['four bits that fill no nibble', lavapipe, randomWeights('int4z', 64, 576), quantized(convolution), 'dense'],
    ['five bits, quantized input', lavapipe, randomWeights('int5', 64, 576), quantized(convolution), 'dense'],
    ['six bits, quantized input', lavapipe, randomWeights('int6', 64, 576), quantized(convolution), 'dense'],
    ['seven bits, quantized input', lavapipe, randomWeights('int7', 64, 576), quantized(convolution), 'int8'],
    ['four bits, dense layer', lavapipe, randomWeights('int4', 64, 576), quantized(dense), 'int8'],
    ['four bits, depthwise', lavapipe, randomWeights('int4', 64, 9), quantized(depthwise), 'int8'],
    ['five bits, depthwise', lavapipe, randomWeights('int5', 64, 9), quantized(depthwise), 'dense'],
    ['four lanes, 3×3', swiftShader, randomWeights('int4', 64, 576), quantized(convolution), 'int8'],
    ['four lanes, 3×3, eight bits', swiftShader, randomWeights('int8', 64, 576), quantized(convolution), 'int8'],
    [
      'four lanes, groups',
      swiftShader,
      randomWeights('int8', 64, 576),
      quantized({ ...convolution, groups: 2 }),
      'dense',
    ],
    ['four lanes, depthwise', swiftShader, randomWeights('int8', 64, 9), quantized(depthwise), 'dense'],
    ['four lanes, 1×1', swiftShader, randomWeights('int4', 64, 576), quantized({ ...convolution, taps: 1 }), 'dense'],
    ['four lanes, dense layer', swiftShader, randomWeights('int8', 64, 576), quantized(dense), 'dense'],
    ['a GPU of four lanes', gpuOfFour, randomWeights('int8', 64, 576), quantized(dense), 'int8'],
    ['groups of 32', lavapipe, randomWeights('int8/32', 64, 576), quantized(convolution), 'dense'],
    ['groups of 12', lavapipe, randomWeights('int4/12', 64, 576), convolution, 'float'],
    ['a codebook', lavapipe, randomWeights('table4/64', 64, 576), convolution, 'dense'],
    ['nine tenths pruned', lavapipe, pruned(randomWeights('int4', 256, 1024), 0.1), dense, 'rows'],
    ['half pruned', lavapipe, pruned(randomWeights('int4', 256, 1024), 0.5), dense, 'dense'],
    [
      'pruned, where sparse kernels are slower',
      swiftShader,
      pruned(randomWeights('int4', 256, 1024), 0.1),
      dense,
      'dense',
    ],
    ['pruned float32', lavapipe, pruned(randomWeights('f32', 256, 1024), 0.1), dense, 'rows'],
    ['pruned, 1×1', lavapipe, pruned(randomWeights('f32', 64, 576), 0.2), { ...convolution, taps: 1 }, 'rows'],
    ['pruned, 3×3, for Winograd', lavapipe, pruned(randomWeights('f32', 64, 576), 0.2), convolution, 'float'],
    ['nine tenths pruned, 3×3', lavapipe, pruned(randomWeights('f32', 64, 576), 0.1), convolution, 'rows'],
  ];
  it.each(choices)('%s', (_, adapter, matrix, facts, form) => {
    const choice = choosePacking(adapter, matrix, facts);
    expect(choice.form).toBe(form);
    expect(choice.reason).not.toBe('');
  });

  it('takes bytes for fewer bits where speed is preferred to memory, and only where they are faster', () => {
    for (const format of ['int5', 'int6', 'int4z']) {
      const matrix = randomWeights(format, 64, 576);
      expect(choosePacking(lavapipe, matrix, { ...quantized(convolution), prefer: 'speed' }).form).toBe('int8');
      expect(choosePacking(swiftShader, matrix, { ...quantized(dense), prefer: 'speed' }).form).toBe('dense');
    }
  });
});
