import { numberAttribute } from '../graph/attributes.ts';
import type { Graph, Node } from '../graph/types.ts';
import { canQuantizeInt8 } from '../kernels/int8Planes.ts';
import { activationQuantizer } from './quantizedInputs.ts';

/** How layers read a weight that a packed kernel could read: as `rows` × `k` (see `WeightMatrix`). */
export interface LayerUse {
  readonly rows: number;
  readonly k: number;
  /** How the initializer has it: [rows][k], or [k][rows]. */
  readonly order: 'rows' | 'columns';
  readonly groups: number;
  /** Kernel rows · kernel columns; 1 of a dense layer. */
  readonly taps: number;
  /** Every one of the layers reads activations that a quantizer made, of at most 8 bits. */
  readonly quantizedInput: boolean;
  /** Columns of the product for one sample, about: pixels of a convolution, vectors of a dense layer. */
  readonly columns: number;
}

/** What a convolution is taken to have before shapes are known. */
const PIXELS = 256;

/**
 * The weights that may stay packed, by name: those that only Conv, Gemm and MatMul read, in one way, as their second
 * input.
 */
export function packableWeights(graph: Graph): Map<string, LayerUse> {
  const uses = new Map<string, LayerUse | undefined>();
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  for (const { name } of graph.outputs) uses.set(name, undefined);
  for (const node of graph.nodes) {
    node.inputs.forEach((name, index) => {
      if (!graph.initializers.has(name)) return;
      const use = index === 1 ? layerUse(graph, node, producers) : undefined;
      uses.set(name, uses.has(name) ? together(uses.get(name), use) : use);
    });
  }
  return new Map([...uses].filter((entry): entry is [string, LayerUse] => entry[1] !== undefined));
}

function together(a: LayerUse | undefined, b: LayerUse | undefined): LayerUse | undefined {
  if (!a || !b) return undefined;
  const isSame = a.order === b.order && a.groups === b.groups && a.taps === b.taps && a.rows === b.rows;
  return isSame ? { ...a, quantizedInput: a.quantizedInput && b.quantizedInput } : undefined;
}

function layerUse(graph: Graph, node: Node, producers: ReadonlyMap<string, Node>): LayerUse | undefined {
  const weight = graph.initializers.get(node.inputs[1] ?? '');
  if (weight?.dtype !== 'float32') return undefined;
  const { shape } = weight;
  const quantizer = activationQuantizer(graph, producers.get(node.inputs[0] ?? ''));
  const shared = {
    groups: 1,
    taps: 1,
    columns: 1,
    quantizedInput: quantizer !== undefined && canQuantizeInt8(quantizer),
  };
  const [first, second] = shape as [number, number];
  if (node.op === 'Conv' && (shape.length === 3 || shape.length === 4)) {
    const taps = shape.slice(2).reduce((product, length) => product * length, 1);
    const groups = numberAttribute(node, 'group', 1);
    return { ...shared, columns: PIXELS, rows: first, k: second * taps, order: 'rows', taps, groups };
  }
  if (shape.length !== 2) return undefined;
  if (node.op === 'MatMul') return { ...shared, rows: second, k: first, order: 'columns' };
  if (node.op !== 'Gemm' || !isPlainGemm(graph, node)) return undefined;
  return numberAttribute(node, 'transB', 0) !== 0
    ? { ...shared, rows: first, k: second, order: 'rows' }
    : { ...shared, rows: second, k: first, order: 'columns' };
}

/** y = A·op(B) + C with one element of C for each column, or without C. */
function isPlainGemm(graph: Graph, node: Node): boolean {
  if (numberAttribute(node, 'transA', 0) !== 0 || numberAttribute(node, 'alpha', 1) !== 1) return false;
  if (!node.inputs[2]) return true;
  const bias = graph.initializers.get(node.inputs[2]);
  const weight = graph.initializers.get(node.inputs[1] as string);
  const columns = weight?.shape[numberAttribute(node, 'transB', 0) !== 0 ? 0 : 1];
  const isRow = bias?.shape.slice(0, -1).every((length) => length === 1) && bias.shape.at(-1) === columns;
  return numberAttribute(node, 'beta', 1) === 1 && isRow === true;
}
