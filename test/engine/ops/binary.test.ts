import { describe, expect, it } from 'vitest';
import { broadcastAxes } from '../../../src/engine/ops/binary.ts';
import { initializerRoles } from '../../../src/engine/parameters.ts';
import { floatTensor } from '../../../src/graph/tensor.ts';
import type { Graph, Node } from '../../../src/graph/types.ts';
import { testGpu } from '../../support/gpu.ts';
import { checkGradients } from '../../support/gradient.ts';
import { randomFloats } from '../../support/numbers.ts';
import { runGraph } from '../../support/runGraph.ts';

const shapes: [number[], number[]][] = [
  [[6], [6]],
  [
    [2, 3, 4, 5],
    [2, 3, 4, 5],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 1],
  ],
  [
    [1, 3, 1, 1],
    [2, 3, 4, 5],
  ],
  [[2, 3, 4, 5], []],
  [[3, 4], [4]],
  [
    [3, 4],
    [3, 1],
  ],
  [[4], [1, 4]],
  [
    [3, 1],
    [1, 4],
  ],
  [
    [2, 1, 3, 1],
    [4, 1, 5],
  ],
  [
    [2, 1, 3, 1, 2],
    [1, 2, 1, 2, 1],
  ],
  [
    [2, 1, 2, 1, 2, 1, 3],
    [1, 2, 1, 2, 1, 2, 1],
  ],
];

/** Away from zero, where Div has no derivative. */
function divisor(shape: readonly number[]): Float32Array {
  const elements = shape.reduce((product, length) => product * length, 1);
  return randomFloats(5, elements, 0.5, 2).map((value, i) => (i % 3 === 0 ? -value : value));
}

describe.each(['Add', 'Sub', 'Mul', 'Div'])('%s', (op) => {
  it.each(shapes)('broadcasts %j with %j', async (a, b) => {
    await checkGradients({ op, inputs: [{ shape: a }, { shape: b, data: divisor(b) }] });
  });

  it('takes one value as both operands', async () => {
    const graph: Graph = {
      name: op,
      inputs: [{ name: 'x', dtype: 'float32', shape: [3] }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [{ name: op, op, inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
      initializers: new Map(),
    };
    const inputs = { x: Float32Array.of(1, -2, 4) };
    const seeds = { y: Float32Array.of(1, 10, 100) };
    const { gradients } = await runGraph(await testGpu(), { graph, inputs, seeds, wanted: ['x'] });
    const expected = { Add: [2, 20, 200], Sub: [0, 0, 0], Mul: [2, -40, 800], Div: [0, 0, 0] }[op]!;
    expect([...gradients.x!]).toEqual(expected);
  });
});

it('passes the gradient of an addition of equal shapes on without a dispatch', async () => {
  const { dispatches } = await checkGradients({ op: 'Add', inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] });
  expect(dispatches).toBe(1);
});

it('sums a long gradient in two passes, the same bits every time', async () => {
  const shape = [2, 3, 150, 150];
  const graph: Graph = {
    name: 'bias',
    inputs: [
      { name: 'x', dtype: 'float32', shape },
      { name: 'b', dtype: 'float32', shape: [3, 1, 1] },
    ],
    outputs: [{ name: 'y', dtype: 'float32' }],
    nodes: [{ name: 'add', op: 'Add', inputs: ['x', 'b'], outputs: ['y'], attributes: {} }],
    initializers: new Map(),
  };
  const dy = randomFloats(1, 2 * 3 * 150 * 150, 0, 1);
  const run = async () => {
    const inputs = { x: dy, b: Float32Array.of(1, 2, 3) };
    return runGraph(await testGpu(), { graph, inputs, seeds: { y: dy }, wanted: ['b'] });
  };
  const [first, second] = [await run(), await run()];
  expect(first.dispatches).toBe(3);
  expect([...second.gradients.b!]).toEqual([...first.gradients.b!]);
  const sums = [0, 0, 0];
  dy.forEach((value, i) => {
    sums[Math.floor(i / 22500) % 3]! += value;
  });
  sums.forEach((sum, i) => {
    expect(Math.abs(first.gradients.b![i]! / sum - 1)).toBeLessThan(1e-6);
  });
});

it('names the axes along which an operand is broadcast', () => {
  expect(broadcastAxes([3, 1, 1], [2, 3, 4, 5])).toEqual([0, 2, 3]);
  expect(broadcastAxes([1, 4], [1, 4])).toEqual([]);
  expect(broadcastAxes([], [2, 1])).toEqual([0]);
});

describe('roles', () => {
  const node = (name: string, op: string, inputs: string[], output: string): Node => ({
    ...{ name, op, inputs, outputs: [output], attributes: {} },
  });
  const roleOf = (nodes: Node[], name: string) =>
    initializerRoles({
      name: 'roles',
      inputs: [{ name: 'x', dtype: 'float32', shape: [2, 2] }],
      outputs: [],
      nodes,
      initializers: new Map(['w', 'p'].map((key) => [key, floatTensor([2, 2], [1, 2, 3, 4])])),
    }).get(name);

  it.each(['MatMul', 'Conv', 'Gemm'])('takes what is added to the result of a %s for its bias', (op) => {
    const linear = node('linear', op, ['x', 'w'], 'h');
    expect(roleOf([linear, node('add', 'Add', ['h', 'p'], 'y')], 'p')).toBe('bias');
    expect(roleOf([linear, node('add', 'Add', ['p', 'h'], 'y')], 'p')).toBe('bias');
  });

  it('takes every other initializer for a constant', () => {
    const linear = node('linear', 'MatMul', ['x', 'w'], 'h');
    for (const op of ['Sub', 'Mul', 'Div'])
      expect(roleOf([linear, node('n', op, ['h', 'p'], 'y')], 'p')).toBe('constant');
    expect(roleOf([node('n', 'Add', ['x', 'p'], 'y')], 'p')).toBe('constant');
    const relu = node('relu', 'Relu', ['h'], 'r');
    expect(roleOf([linear, relu, node('n', 'Add', ['r', 'p'], 'y')], 'p')).toBe('constant');
  });
});
