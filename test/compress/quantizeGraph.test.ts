import { describe, expect, it } from 'vitest';
import { type QuantizeSettings, quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { nonNegativeValues } from '../../src/compress/ranges.ts';
import { channelValues, lsqScale } from '../../src/compress/scales.ts';
import { FAKE_QUANTIZE } from '../../src/engine/quantizer.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { quantizerLevels } from '../../src/kernels/fakeQuantize.ts';
import { cnn, Net } from '../train/problems.ts';

const settings = (changes: Partial<QuantizeSettings> = {}): QuantizeSettings => ({
  weights: { bits: 4, perChannel: true, initial: 'lsq' },
  layers: {},
  skip: [],
  ...changes,
});

const quantizers = (graph: Graph) =>
  new Map(graph.nodes.filter(({ op }) => op === FAKE_QUANTIZE).map((node) => [node.inputs[0]!, node]));

/** One input read by two convolutions, whose sum goes through a rectifier into a third; a dense end. */
function branches(): Graph {
  const net = new Net(1, ['N', 2, 8, 8]);
  const a = net.conv('a', 'image', [3, 2, 3, 3], { pads: [1, 1, 1, 1] });
  const b = net.conv('b', 'image', [3, 2, 1, 1]);
  const sum = net.relu('relu', net.add('sum', 'Add', [a, b]));
  const c = net.conv('c', net.pool('pool', sum), [4, 3, 3, 3], { pads: [1, 1, 1, 1] });
  return net.graph(net.dense('fc', net.add('flatten', 'Flatten', [c], { axis: 1 }), [5, 64]));
}

describe('quantizeGraph', () => {
  it('puts a quantizer before every weight, with one scale per output channel', () => {
    const source = branches();
    const { graph, activations } = quantizeGraph(source, settings());
    expect(activations).toEqual([]);
    const found = quantizers(graph);
    expect([...found.keys()]).toEqual(['a.weight', 'b.weight', 'c.weight', 'fc.weight']);
    for (const [weight, node] of found) {
      expect(node.attributes).toEqual({ bits: 4, signed: 1, narrow: 1, axis: 0 });
      const { shape, data } = source.initializers.get(weight)!;
      const scale = graph.initializers.get(node.inputs[1]!)!;
      expect(scale.shape).toEqual([shape[0]]);
      const first = channelValues(data as Float32Array, shape, 0, 1);
      expect((scale.data as Float32Array)[1]).toBeCloseTo(lsqScale(first, quantizerLevels(4, true, true)), 6);
      const reader = graph.nodes.find(({ inputs }) => inputs[1] === node.outputs[0])!;
      expect(`${reader.name}.weight`).toBe(weight);
      expect(graph.initializers.get(weight)).toBe(source.initializers.get(weight));
    }
    validateGraph(graph);
    expect(source).toEqual(branches());
  });

  it('shares the quantizer of an activation that several layers read', () => {
    const { graph, activations } = quantizeGraph(branches(), settings({ activations: { bits: 6 } }));
    expect(activations.map(({ value, signed, bits }) => [value, signed, bits])).toEqual([
      ['image', true, 6],
      ['pool', false, 6], // a maximum over what a rectifier gives
      ['flatten', true, 6], // a convolution's output
    ]);
    const inputOf = (name: string) => graph.nodes.find((node) => node.name === name)!.inputs[0];
    expect(inputOf('a')).toBe(inputOf('b'));
    expect(inputOf('a')).toBe(quantizers(graph).get('image')!.outputs[0]);
    expect(quantizers(graph).get('pool')!.attributes).toEqual({ bits: 6, signed: 0, narrow: 0, axis: -1 });
    expect(quantizers(graph).get('image')!.attributes).toEqual({ bits: 6, signed: 1, narrow: 0, axis: -1 });
    for (const { scale } of activations) expect(graph.initializers.get(scale)!.shape).toEqual([1]);
    validateGraph(graph);
  });

  it('leaves out what skip names, by node or by weight, and its activation', () => {
    const { graph, activations } = quantizeGraph(
      branches(),
      settings({ activations: { bits: 8 }, skip: ['f*', 'b.weight'] }),
    );
    expect([...quantizers(graph).keys()].sort()).toEqual(['a.weight', 'c.weight', 'image', 'pool']);
    expect(activations.map(({ value }) => value)).toEqual(['image', 'pool']);
    expect(graph.nodes.find(({ name }) => name === 'b')!.inputs[0]).toBe('image');
  });

  it('takes the width of a layer from the first pattern that fits', () => {
    const { graph } = quantizeGraph(branches(), settings({ layers: { fc: 8, '*.weight': 3, a: 2 } }));
    const bits = [...quantizers(graph)].map(([weight, { attributes }]) => [weight, attributes.bits]);
    expect(bits).toEqual([
      ['a.weight', 3],
      ['b.weight', 3],
      ['c.weight', 3],
      ['fc.weight', 8],
    ]);
  });

  it('can use one scale per tensor', () => {
    const { graph } = quantizeGraph(branches(), settings({ weights: { bits: 8, perChannel: false, initial: 'mse' } }));
    for (const node of quantizers(graph).values()) {
      expect(node.attributes.axis).toBe(-1);
      expect(graph.initializers.get(node.inputs[1]!)!.shape).toEqual([1]);
    }
  });

  it('follows the output channels of Gemm and MatMul', () => {
    const net = new Net(2, ['N', 6]);
    net.constant('plain.weight', floatTensor([6, 5], new Float32Array(30).fill(0.5)));
    net.constant('product.weight', floatTensor([5, 4], new Float32Array(20).fill(0.25)));
    const plain = net.add('plain', 'Gemm', ['image', 'plain.weight']);
    const { graph } = quantizeGraph(net.graph(net.add('product', 'MatMul', [plain, 'product.weight'])), settings());
    const found = [...quantizers(graph).values()];
    expect(found.map(({ attributes }) => attributes.axis)).toEqual([1, 1]);
    expect(found.map((node) => graph.initializers.get(node.inputs[1]!)!.shape)).toEqual([[5], [4]]);
  });

  it('quantizes a weight once that two layers share', () => {
    const net = new Net(3, ['N', 6]);
    const once = net.dense('fc', 'image', [6, 6]);
    const graph = net.graph(net.add('again', 'Gemm', [once, 'fc.weight'], { transB: 1 }));
    const quantized = quantizeGraph(graph, settings()).graph;
    expect([...quantizers(quantized).keys()]).toEqual(['fc.weight']);
    const [first, second] = quantized.nodes.filter(({ op }) => op === 'Gemm');
    expect(first!.inputs[1]).toBe(second!.inputs[1]);
  });

  it('finds names that nobody uses', () => {
    const net = new Net(4, ['N', 6]);
    net.constant('fc.weight_scale', floatTensor([1], [3]));
    const first = net.add('fc.weight_quantized', 'Mul', ['image', 'fc.weight_scale']);
    const renamed = net.add('fc.weight_quantize', 'Relu', [first]);
    const { graph } = quantizeGraph(
      net.graph(net.dense('fc', renamed, [3, 6])),
      settings({ activations: { bits: 8 } }),
    );
    validateGraph(graph);
    const names = graph.nodes.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(graph.initializers.get('fc.weight_scale')!.data).toEqual(Float32Array.of(3));
  });

  it('changes the width of what is quantized already, and adds no second quantizer', () => {
    const first = quantizeGraph(branches(), settings({ activations: { bits: 8 }, skip: ['fc'] }));
    const second = quantizeGraph(
      first.graph,
      settings({ weights: { bits: 3, perChannel: true, initial: 'lsq' }, activations: { bits: 4 }, skip: ['a'] }),
    );
    const found = quantizers(second.graph);
    const bits = [...found].map(([value, { attributes }]) => [value, attributes.bits]);
    expect(bits.sort()).toEqual([
      ['a.weight', 4],
      ['b.weight', 3],
      ['c.weight', 3],
      ['fc.weight', 3],
      ['flatten', 4],
      // Layer a, which is left as it was, reads it too.
      ['image', 8],
      ['pool', 4],
    ]);
    expect(second.activations.map(({ value }) => value).sort()).toEqual(['flatten', 'pool']);
    validateGraph(second.graph);
    // Every layer reads its own quantizers, not one behind another.
    for (const node of found.values()) {
      expect([...found.values()].some(({ outputs }) => outputs[0] === node.inputs[0])).toBe(false);
    }
  });
});

describe('nonNegativeValues', () => {
  it('knows what rectifiers, pooling and sums of such values give', () => {
    expect([...nonNegativeValues(cnn(1))]).toEqual(['relu1', 'pool1', 'relu2', 'pool2', 'flatten']);
    const net = new Net(1, ['N', 2, 4, 4]);
    const relu = net.relu('relu', 'image');
    const sum = net.add('sum', 'Add', [relu, relu]);
    const mixed = net.add('mixed', 'Add', [relu, 'image']);
    net.constant('shift', floatTensor([1], [-1]));
    net.add('shifted', 'Add', [relu, 'shift']);
    net.constant('zero', floatTensor([], [0]));
    net.constant('six', floatTensor([], [6]));
    net.add('clip', 'Clip', [mixed, 'zero', 'six']);
    net.add('below', 'Clip', [mixed, '', 'six']);
    net.add('negated', 'Sub', [sum, relu]);
    expect([...nonNegativeValues(net.graph('negated'))]).toEqual(['relu', 'sum', 'clip']);
  });
});
