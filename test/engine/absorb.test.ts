import { describe, expect, it } from 'vitest';
import { absorbAdds, absorbClamps } from '../../src/engine/absorb.ts';
import { inferOperator } from '../../src/engine/registry.ts';
import { inferShapes } from '../../src/graph/shapes.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { testGpu } from '../support/gpu.ts';
import { NetworkBuilder } from '../support/networks.ts';
import { randomFloats } from '../support/numbers.ts';
import { runGraph } from '../support/runGraph.ts';

const same = { pads: [1, 1, 1, 1] };
const shape = [3, 4, 6, 5];

function clip(net: NetworkBuilder): NetworkBuilder {
  net.graph.initializers.set('min', floatTensor([], [-0.25])).set('max', floatTensor([], [0.5]));
  return net.node('Clip', [net.last, 'min', 'max']);
}

/** Each ends where a clamp may follow. */
const producers: Record<string, () => NetworkBuilder> = {
  Conv: () => new NetworkBuilder('conv', shape).conv(4, 6, 3, same, true),
  BatchNormalization: () => new NetworkBuilder('norm', shape).conv(4, 6, 3).batchNorm(6),
  Gemm: () => new NetworkBuilder('gemm', shape).node('Flatten').gemm(120, 7),
  'Add of equal shapes': () => {
    const net = new NetworkBuilder('add', shape).conv(4, 4, 3, same);
    return net.node('Add', [net.last, 'x']);
  },
  'Mul that broadcasts': () => {
    const net = new NetworkBuilder('mul', shape);
    return net.node('Mul', ['x', net.parameter([4, 1, 1], -1, 1)]);
  },
};

/** The graph with the clamp's argument as an output too: nothing can be absorbed then. */
function exposed(graph: Graph): Graph {
  const argument = graph.nodes.at(-1)!.inputs[0]!;
  return { ...graph, outputs: [...graph.outputs, { name: argument, dtype: 'float32' }] };
}

describe.each(Object.entries(producers))('%s', (_, make) => {
  it.each([
    ['Relu', (net: NetworkBuilder) => net.node('Relu')],
    ['Clip', clip],
  ] as const)('and %s are one step with the same results and gradients', async (_, clamp) => {
    const net = clamp(make());
    const graph = net.finish();
    const output = graph.outputs[0]!.name;
    const gpu = await testGpu();
    const run = async (one: Graph) => {
      const inputs = { x: randomFloats(1, 360) };
      const elements = (await runGraph(gpu, { graph: one, inputs, training: true })).outputs[output]!.length;
      const seeds = { [output]: randomFloats(2, elements) };
      return runGraph(gpu, { graph: one, inputs, training: true, seeds, wanted: ['x', ...net.parameters] });
    };
    const fused = await run(graph);
    const apart = await run(exposed(graph));
    expect(fused.dispatches).toBe(apart.dispatches - 1);
    expect(fused.outputs[output]).toEqual(apart.outputs[output]);
    expect(fused.gradients).toEqual(apart.gradients);
    expect(new Set(fused.outputs[output]).size).toBeGreaterThan(10);
  });
});

describe('absorbClamps', () => {
  const absorbed = (net: NetworkBuilder) =>
    [...absorbClamps(net.finish())].map(([node, { clamp, bounds }]) => [node.op, clamp.op, bounds.lo, bounds.hi]);

  it('takes bounds from initializers', () => {
    expect(absorbed(clip(producers.Conv!()))).toEqual([['Conv', 'Clip', -0.25, 0.5]]);
  });

  it('leaves a clamp alone whose argument somebody else reads', () => {
    const net = producers.Conv!();
    const argument = net.last;
    net.node('Relu');
    expect(absorbed(net.node('Add', [net.last, argument]))).toEqual([]);
  });

  it('leaves alone what cannot clamp: Div, whose gradient reads its result, and a clamp itself', () => {
    expect(absorbed(new NetworkBuilder('div', shape).node('Div', ['x', 'x']).node('Relu'))).toEqual([]);
    const twice = producers.Conv!().node('Relu').node('Relu');
    expect(absorbed(twice)).toHaveLength(1);
    expect(absorbed(new NetworkBuilder('input', shape).node('Relu'))).toEqual([]);
  });
});

describe('absorbAdds', () => {
  /** Two convolutions, the sum of one and the other (or the input), and a Relu. */
  function block(shortcut: 'input' | 'convolution' | 'pool'): NetworkBuilder {
    const net = new NetworkBuilder('block', shape);
    if (shortcut === 'convolution') net.conv(4, 4, 1);
    if (shortcut === 'pool') net.node('MaxPool', ['x'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    const other = shortcut === 'input' ? 'x' : net.last;
    if (shortcut === 'pool') net.conv(4, 4, 3, same, true);
    else net.node('Relu', ['x']).conv(4, 4, 3, same, true);
    return net.node('Add', [other, net.last]).node('Relu');
  }
  const shapesOf = (graph: Graph) =>
    inferShapes(graph, inferOperator, new Map(graph.inputs.map(({ name, shape: of }) => [name, of as number[]])));

  it.each(['input', 'convolution', 'pool'] as const)(
    'a shortcut that is the %s costs no pass of its own',
    async (kind) => {
      const graph = block(kind).finish();
      const absorbed = absorbAdds(graph, shapesOf(graph));
      expect([...absorbed].map(([node, { add }]) => [node.op, add.op])).toEqual([['Conv', 'Add']]);
      const gpu = await testGpu();
      const inputs = { x: randomFloats(1, 360) };
      const output = graph.outputs[0]!.name;
      const fused = await runGraph(gpu, { graph, inputs, inferenceOnly: true });
      const apart = await runGraph(gpu, { graph, inputs });
      expect(fused.dispatches).toBe(apart.dispatches - 1);
      expect(fused.outputs[output]).toEqual(apart.outputs[output]);
      expect(new Set(fused.outputs[output]).size).toBeGreaterThan(10);
    },
  );

  it('leaves a sum alone whose terms others read, or that broadcasts', () => {
    const read = block('input');
    const graph = read.finish();
    const conv = graph.nodes.find(({ op }) => op === 'Conv')!;
    const also = { ...graph, outputs: [...graph.outputs, { name: conv.outputs[0]!, dtype: 'float32' as const }] };
    expect(absorbAdds(also, shapesOf(also)).size).toBe(0);
    const net = new NetworkBuilder('broadcast', shape).node('GlobalAveragePool', ['x']);
    const pooled = net.last;
    const wide = net.node('Relu', ['x']).conv(4, 4, 3, same).node('Add', [net.last, pooled]).finish();
    expect(absorbAdds(wide, shapesOf(wide)).size).toBe(0);
  });
});
