import { describe, expect, it } from 'vitest';
import { removeDeadNodes } from '../../src/graph/passes/deadNodes.ts';
import { removeIdentities } from '../../src/graph/passes/identities.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { type NodeSketch, sketchGraph } from '../onnx/build.ts';

const graphOf = (nodes: NodeSketch[], outputs = ['y']): Graph =>
  sketchGraph({ inputs: { x: [2] }, outputs, nodes, initializers: { w: floatTensor([2], [1, 2]) } });

describe('validateGraph', () => {
  it('returns a sound graph as it is', () => {
    const graph = graphOf([
      ['Add', ['x', 'w'], ['a']],
      ['Clip', ['a', '', 'w'], ['y']],
    ]);
    expect(validateGraph(graph)).toBe(graph);
  });

  it('sorts, and takes a chain of any length', () => {
    const chain: NodeSketch[] = Array.from({ length: 50000 }, (_, index) => ['Relu', [`v${index}`], [`v${index + 1}`]]);
    chain[0]![1][0] = 'x';
    const sorted = validateGraph(graphOf(chain.toReversed(), ['v50000']));
    expect(sorted.nodes.map(({ outputs }) => outputs[0])).toEqual(chain.map(([, , outputs]) => outputs[0]));
  });

  it.each<[string, NodeSketch[], string[], RegExp]>([
    ['an unknown value', [['Relu', ['z'], ['y']]], ['y'], /reads 'z'/],
    [
      'a cycle',
      [
        ['Add', ['x', 'b'], ['a']],
        ['Relu', ['a'], ['b']],
        ['Relu', ['b'], ['y']],
      ],
      ['y'],
      /depends on its own output/,
    ],
    [
      'a value made twice',
      [
        ['Relu', ['x'], ['y']],
        ['Tanh', ['x'], ['y']],
      ],
      ['y'],
      /'y' is defined twice/,
    ],
    ['a node that overwrites an initializer', [['Relu', ['x'], ['w']]], ['w'], /'w' is defined twice/],
    ['an output that nothing makes', [['Relu', ['x'], ['y']]], ['z'], /output 'z' is produced by nothing/],
    ['an output listed twice', [['Relu', ['x'], ['y']]], ['y', 'y'], /listed twice/],
  ])('refuses %s', (_, nodes, outputs, message) => {
    expect(() => validateGraph(graphOf(nodes, outputs))).toThrow(message);
  });

  it('refuses two nodes of one name', () => {
    const graph = graphOf([
      ['Relu', ['x'], ['a']],
      ['Relu', ['a'], ['y']],
    ]);
    graph.nodes[1]!.name = graph.nodes[0]!.name;
    expect(() => validateGraph(graph)).toThrow(/two nodes are called 'Relu_0'/);
  });
});

describe('passes', () => {
  it('removeDeadNodes keeps what outputs need', () => {
    const graph = graphOf([
      ['Relu', ['x'], ['y']],
      ['Add', ['y', 'w'], ['a']],
      ['Tanh', ['a'], ['b']],
    ]);
    const clean = removeDeadNodes(graph);
    expect(clean.nodes.map(({ op }) => op)).toEqual(['Relu']);
    expect(clean.initializers.size).toBe(0);
  });

  it('removeIdentities keeps the names of outputs', () => {
    const clean = removeIdentities(
      graphOf(
        [
          ['Identity', ['x'], ['a']],
          ['Relu', ['a'], ['b']],
          ['Identity', ['b'], ['c']],
          ['Identity', ['c'], ['y']],
          ['Tanh', ['b'], ['t']],
          ['Identity', ['b'], ['z']],
          ['Identity', ['x'], ['u']],
          ['Identity', ['w'], ['v']],
        ],
        ['y', 'z', 't', 'u', 'v'],
      ),
    );
    expect(clean.nodes.map(({ op, inputs, outputs }) => [op, inputs[0], outputs[0]])).toEqual([
      ['Relu', 'x', 'y'],
      ['Tanh', 'y', 't'],
      ['Identity', 'y', 'z'],
      ['Identity', 'x', 'u'],
    ]);
    expect(clean.initializers.get('v')).toBe(clean.initializers.get('w'));
    validateGraph(clean);
  });
});
