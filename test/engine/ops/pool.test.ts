import { describe, expect, it } from 'vitest';
import type { Node } from '../../../src/graph/types.ts';
import { testGpu } from '../../support/gpu.ts';
import { checkGradients } from '../../support/gradient.ts';
import { random } from '../../support/numbers.ts';
import { runGraph } from '../../support/runGraph.ts';

/** Distinct numbers a hundredth apart or more, so that a step of central differences changes no maximum. */
function distinct(elements: number): Float32Array<ArrayBuffer> {
  const next = random(elements);
  const values = Float32Array.from({ length: elements }, (_, i) => (i - elements / 2) / 50);
  for (let i = elements - 1; i > 0; i--) {
    const j = Math.floor(next(0, i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

const windows: [string, number[], Node['attributes']][] = [
  ['2x2 blocks', [2, 3, 6, 10], { kernel_shape: [2, 2], strides: [2, 2] }],
  ['2x2 blocks and a row over', [1, 2, 7, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  ['overlapping, padded', [2, 2, 7, 9], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ['stride 1, uneven pads', [1, 3, 5, 4], { kernel_shape: [2, 3], pads: [1, 0, 0, 2] }],
  ['gaps between windows', [1, 2, 8, 8], { kernel_shape: [1, 2], strides: [3, 3] }],
  ['1x1', [2, 2, 3, 5], { kernel_shape: [1, 1] }],
  ['larger than the input', [1, 2, 3, 2], { kernel_shape: [5, 4], pads: [2, 1, 2, 2] }],
  ['dilated', [1, 2, 9, 8], { kernel_shape: [3, 2], dilations: [2, 3] }],
  [
    'dilated, strided, padded',
    [2, 1, 9, 8],
    { kernel_shape: [2, 3], dilations: [3, 2], strides: [2, 1], pads: [2, 1, 1, 3] },
  ],
  ['ceil mode', [1, 2, 8, 6], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ['ceil mode, padded', [1, 2, 6, 7], { kernel_shape: [3, 2], strides: [3, 2], pads: [1, 1, 1, 1], ceil_mode: 1 }],
  ['same, upper', [1, 2, 5, 6], { kernel_shape: [3, 2], strides: [2, 1], auto_pad: 'SAME_UPPER' }],
  ['same, lower', [1, 2, 5, 6], { kernel_shape: [2, 4], strides: [1, 3], auto_pad: 'SAME_LOWER' }],
  ['valid', [1, 2, 5, 6], { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'VALID' }],
  ['1-D', [2, 3, 11], { kernel_shape: [3], strides: [2], pads: [1, 1] }],
  ['3-D blocks', [2, 2, 4, 4, 6], { kernel_shape: [2, 2, 2], strides: [2, 2, 2] }],
  [
    '3-D, overlapping, strided, uneven pads',
    [2, 2, 5, 4, 6],
    { kernel_shape: [3, 2, 3], strides: [2, 1, 2], pads: [2, 0, 1, 1, 1, 0] },
  ],
  [
    '3-D, dilated, ceil mode',
    [1, 2, 6, 5, 7],
    { kernel_shape: [2, 3, 2], dilations: [3, 2, 2], strides: [2, 3, 2], pads: [1, 2, 0, 2, 1, 1], ceil_mode: 1 },
  ],
  ['3-D, same, upper', [1, 2, 3, 4, 5], { kernel_shape: [2, 3, 4], strides: [1, 2, 3], auto_pad: 'SAME_UPPER' }],
  ['3-D, same, lower', [1, 2, 3, 4, 5], { kernel_shape: [4, 3, 2], strides: [2, 2, 1], auto_pad: 'SAME_LOWER' }],
  ['3-D, valid', [1, 2, 3, 4, 5], { kernel_shape: [2, 3, 2], strides: [1, 2, 2], auto_pad: 'VALID' }],
  ['3-D over the depth alone', [2, 2, 5, 2, 3], { kernel_shape: [3, 1, 1], pads: [1, 0, 0, 1, 0, 0] }],
  ['3-D over the planes alone', [1, 2, 3, 4, 4], { kernel_shape: [1, 3, 2], strides: [1, 2, 1] }],
  ['3-D, 1x1x1', [1, 2, 3, 2, 2], { kernel_shape: [1, 1, 1] }],
];

describe.each(windows)('pooling, %s', (_, shape, attributes) => {
  const data = distinct(shape.reduce((product, length) => product * length, 1));

  it('takes the maxima', async () => {
    await checkGradients({ op: 'MaxPool', attributes, inputs: [{ shape, data }] });
  });

  // Without padding both divisors are the same, and every window is a program of its own to compile.
  it.each(attributes.pads || attributes.auto_pad ? [0, 1] : [0])(
    'takes the means, count_include_pad = %i',
    async (include) => {
      await checkGradients({
        op: 'AveragePool',
        attributes: { ...attributes, count_include_pad: include },
        inputs: [{ shape, data }],
      });
    },
  );
});

describe.each(['GlobalAveragePool', 'GlobalMaxPool'])('%s', (op) => {
  it.each([[[2, 70, 4, 4]], [[3, 2, 7]], [[1, 2, 3, 5]], [[1, 2, 2, 3, 2]], [[2, 2, 1, 1]]])('of %j', async (shape) => {
    const data = distinct(shape.reduce((product, length) => product * length, 1));
    await checkGradients({ op, inputs: [{ shape, data }] });
  });
});

function run(
  op: string,
  attributes: Node['attributes'],
  shape: number[],
  x: Float32Array<ArrayBuffer>,
  dy?: number[],
  outputs = ['y'],
) {
  const graph = {
    name: op,
    inputs: [{ name: 'x', dtype: 'float32' as const, shape }],
    outputs: [{ name: 'y', dtype: 'float32' as const }],
    nodes: [{ name: 'pool', op, inputs: ['x'], outputs, attributes }],
    initializers: new Map(),
  };
  const seeds: Record<string, Float32Array<ArrayBuffer>> = dy ? { y: Float32Array.from(dy) } : {};
  return testGpu().then((gpu) => runGraph(gpu, { graph, inputs: { x }, seeds, wanted: dy ? ['x'] : [] }));
}

describe('MaxPool', () => {
  it('lets no padding win over negative numbers', async () => {
    const { outputs } = await run(
      'MaxPool',
      { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
      [1, 1, 2, 2],
      Float32Array.of(-5, -6, -7, -8),
    );
    expect([...outputs.y!]).toEqual([-5, -5, -5, -5]);
  });

  it.each([
    ['2x2 blocks', [2, 2], [2, 2], [1, 1, 2, 4], [3, 4], [3, 0, 0, 4, 0, 0, 0, 0]],
    ['overlapping windows', [1, 2], [1, 1], [1, 1, 1, 4], [1, 2, 4], [1, 2, 4, 0]],
    ['3-D', [2, 2, 2], [2, 2, 2], [1, 1, 2, 2, 2], [3], [0, 0, 0, 3, 0, 0, 0, 0]],
  ])('gives the gradient of equal maxima to the first: %s', async (_, kernel, strides, shape, dy, dx) => {
    const x = shape[3] === 4 && shape[2] === 1 ? Float32Array.of(1, 1, 1, 1) : Float32Array.of(1, 1, 0, 2, 1, 1, 1, 2);
    const { gradients } = await run('MaxPool', { kernel_shape: kernel, strides }, shape, x, dy);
    expect([...gradients.x!]).toEqual(dx);
  });

  it('keeps minus infinity, and its gradient', async () => {
    const x = new Float32Array(9).fill(-Infinity);
    const { outputs, gradients } = await run('MaxPool', { kernel_shape: [3, 3] }, [1, 1, 3, 3], x, [2]);
    expect([...outputs.y!]).toEqual([-Infinity]);
    expect([...gradients.x!]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('refuses what it cannot do', async () => {
    const x = new Float32Array(9);
    await expect(run('MaxPool', { kernel_shape: [2, 2], storage_order: 1 }, [1, 1, 3, 3], x)).rejects.toThrow(
      /storage_order/,
    );
    await expect(
      run('MaxPool', { kernel_shape: [2, 2] }, [1, 1, 3, 3], x, undefined, ['y', 'indices']),
    ).rejects.toThrow(/output Indices \('indices'\), which is not supported/);
  });
});

describe('3-D poolings', () => {
  const passes = (shape: number[], attributes: Node['attributes']) =>
    run('MaxPool', attributes, shape, distinct(shape.reduce((product, length) => product * length, 1))).then(
      ({ dispatches }) => dispatches,
    );

  it('take one pass where the other would change nothing', async () => {
    expect(await passes([1, 2, 4, 4, 4], { kernel_shape: [2, 2, 2] })).toBe(2);
    expect(await passes([1, 2, 4, 4, 4], { kernel_shape: [2, 1, 1] })).toBe(1);
    expect(await passes([1, 2, 4, 4, 4], { kernel_shape: [1, 2, 2] })).toBe(1);
    expect(await passes([1, 2, 4, 4, 4], { kernel_shape: [1, 1, 1] })).toBe(1);
  });
});

describe.each(['MaxPool', 'AveragePool'])('%s', (op) => {
  it.each([[[0, 2, 5, 5]], [[0, 2, 5, 5, 5]]])('takes an empty batch: %j', async (shape) => {
    const kernel = shape.slice(2).map(() => 3);
    const { outputs, gradients } = await run(op, { kernel_shape: kernel }, shape, new Float32Array(), []);
    expect(outputs.y).toHaveLength(0);
    expect(gradients.x).toHaveLength(0);
  });
});
