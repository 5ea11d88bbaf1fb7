import { describe, expect, it } from 'vitest';
import { recordBackward } from '../../../src/engine/backward.ts';
import { Builder } from '../../../src/engine/builder.ts';
import { checkGraph } from '../../../src/engine/check.ts';
import { recordForward } from '../../../src/engine/forward.ts';
import { initializerRoles, ParameterStore } from '../../../src/engine/parameters.ts';
import type { Value } from '../../../src/engine/value.ts';
import { InputError } from '../../../src/graph/errors.ts';
import type { Graph, Tensor } from '../../../src/graph/types.ts';
import { testGpu } from '../../support/gpu.ts';
import { randomFloats, relativeError } from '../../support/numbers.ts';

const tensor = (shape: number[], data: Float32Array): Tensor => ({ dtype: 'float32', shape, data });

/** x of [4, 3, 2] with one unsigned scale, and a weight [3, 3, 2] with one signed scale per index of axis 0. */
const weightShape = [3, 3, 2];
const inputShape = [4, 3, 2];
const weight = randomFloats(1, 18);
const weightScales = Float32Array.of(0.11, 0.23, 0.07);
const inputScale = Float32Array.of(0.19);

function graphOf(changes: Record<string, number> = {}): Graph {
  return {
    name: 'quantized',
    inputs: [{ name: 'x', dtype: 'float32', shape: inputShape }],
    outputs: [{ name: 'xq', dtype: 'float32' }],
    nodes: [
      {
        name: 'activation',
        op: 'wgslim.FakeQuantize',
        inputs: ['x', 'sx'],
        outputs: ['xq'],
        attributes: { bits: 3, signed: 0, axis: -1, ...changes },
      },
      {
        name: 'weights',
        op: 'wgslim.FakeQuantize',
        inputs: ['w', 'sw'],
        outputs: ['wq'],
        attributes: { bits: 3, signed: 1, narrow: 1, axis: 0 },
      },
    ],
    initializers: new Map([
      ['w', tensor(weightShape, weight)],
      ['sx', tensor([1], inputScale)],
      ['sw', tensor([3], weightScales)],
    ]),
  };
}
const shapes = new Map([
  ['x', inputShape],
  ['xq', inputShape],
  ['wq', weightShape],
]);

/** The paper's equations in float64, with the gradient scale 1/sqrt(N Qp). */
function reference(x: Float32Array, dy: Float32Array, scaleOf: (i: number) => number, low: number, high: number) {
  return Array.from(x, (value, i) => {
    const v = value / scaleOf(i);
    const inside = v > low && v < high;
    const step = inside ? Math.round(v) - v : v <= low ? low : high;
    return { y: scaleOf(i) * Math.round(Math.min(Math.max(v, low), high)), dx: inside ? dy[i] : 0, ds: dy[i] * step };
  });
}

describe('wgslim.FakeQuantize', () => {
  it('makes a weight and its scale trained parameters', () => {
    expect(Object.fromEntries(initializerRoles(graphOf()))).toEqual({ w: 'weight', sx: 'scale', sw: 'scale' });
  });

  it('goes forward and backward with the gradient scales of weights and of activations', async () => {
    const gpu = await testGpu();
    const graph = graphOf();
    checkGraph(graph, shapes);
    const store = new ParameterStore(gpu, graph);
    const builder = new Builder(gpu);
    const x = builder.own(inputShape, 'f32', 'x');
    const data = randomFloats(2, 24, -1, 2);
    const seeds = { xq: randomFloats(3, 24), wq: randomFloats(4, 18) };
    const tape = recordForward({ builder, graph, shapes, store, inputs: new Map([['x', x]]), training: true });
    const seedValues = new Map(
      Object.entries(seeds).map(([name, { length }]) => [name, builder.own([length], 'f32', name)]),
    );
    const gradients = store.companion('gradients');
    const targets = new Map<string, Value<'f32'>>([['x', builder.own(inputShape, 'f32', 'dx')]]);
    for (const parameter of store.trained) {
      targets.set(parameter.name, builder.persistent(store.sliceOf(parameter, gradients.buffer), parameter.shape));
    }
    recordBackward(tape, { seeds: seedValues, targets });
    for (const name of ['xq', 'wq']) builder.keep(tape.values.get(name) as Value);
    const { plan, locate, dispose } = await builder.compile('fake quantize');
    gpu.write(locate(x), data);
    for (const [name, seed] of Object.entries(seeds)) gpu.write(locate(seedValues.get(name) as Value), seed);
    plan.replay();
    const read = (value: Value | undefined) => gpu.readFloats(locate(value as Value));

    const activation = reference(data, seeds.xq, () => inputScale[0], 0, 7);
    const weights = reference(weight, seeds.wq, (i) => weightScales[Math.floor(i / 6)], -3, 3);
    expect(
      relativeError(
        await read(tape.values.get('xq')),
        activation.map(({ y }) => y),
      ),
    ).toBeLessThan(1e-6);
    expect(
      relativeError(
        await read(tape.values.get('wq')),
        weights.map(({ y }) => y),
      ),
    ).toBeLessThan(1e-6);
    expect(
      relativeError(
        await read(targets.get('x')),
        activation.map(({ dx }) => dx),
      ),
    ).toBeLessThan(1e-6);
    expect(
      relativeError(
        await read(targets.get('w')),
        weights.map(({ dx }) => dx),
      ),
    ).toBeLessThan(1e-6);
    // Features of one sample: 3·2. Weights that share a scale: 3·2 as well, but another Qp.
    const sum = (list: { ds: number }[]) => list.reduce((total, { ds }) => total + ds, 0);
    expect(relativeError(await read(targets.get('sx')), [sum(activation) / Math.sqrt(6 * 7)])).toBeLessThan(1e-5);
    const perChannel = [0, 1, 2].map((c) => sum(weights.slice(6 * c, 6 * c + 6)) / Math.sqrt(6 * 3));
    expect(relativeError(await read(targets.get('sw')), perChannel)).toBeLessThan(1e-5);
    dispose();
    store.dispose();
  });

  it.each([
    [{ bits: 0 }, 'bits is 0'],
    [{ bits: 1, signed: 1 }, 'bits is 1'],
    [{ bits: 17 }, 'bits is 17'],
    [{ bits: 2.5 }, 'bits is 2.5'],
    [{ axis: 3 }, 'axis 3'],
    [{ axis: 1 }, 'has 1 elements where 3 are needed'],
    [{ zero_point: 3 }, 'zero_point'],
  ])('refuses %j', (changes, message) => {
    const check = () => checkGraph(graphOf(changes as unknown as Record<string, number>), shapes);
    expect(check).toThrow(InputError);
    expect(check).toThrow(message);
  });
});
