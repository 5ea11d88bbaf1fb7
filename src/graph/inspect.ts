import type { InferLookup } from './infer/common.ts';
import { convGeometry } from './infer/conv.ts';
import { gemmGeometry, matMulGeometry } from './infer/matmul.ts';
import { specialize } from './specialize.ts';
import { isFloat, numel } from './tensor.ts';
import type { Graph, Node, Tensor } from './types.ts';

export interface LayerSummary {
  name: string;
  op: string;
  /** Shape of the (first) output. */
  shape: readonly number[];
  /** Elements of learnt tensors that this layer is the first to read; running statistics are none. */
  parameters: number;
  /** How many of them are not zero. */
  nonzero: number;
  /** Multiply-accumulates of Conv, Gemm and MatMul for one sample. */
  macs: number;
}

/** Which inputs of an operator are learnt, where they are initializers. */
const learntInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  PRelu: [1],
  Add: [0, 1],
  Sub: [0, 1],
  Mul: [0, 1],
  Div: [0, 1],
};
/** In arithmetic a lone number is a constant of the formula; a vector is a bias or a scale that was learnt. */
const arithmetic = new Set(['Add', 'Sub', 'Mul', 'Div']);

/** What each layer holds and costs, for a batch of 1. Shapes of inputs may be given as to `specialize`. */
export function inspectGraph(
  graph: Graph,
  lookup: InferLookup,
  inputShapes?: Readonly<Record<string, readonly number[]>>,
): LayerSummary[] {
  const { graph: fixed, shapes } = specialize(graph, lookup, { batch: 1, inputShapes });
  const counted = new Set<string>();
  return fixed.nodes.map((node) => {
    const tensors: Tensor[] = [];
    for (const name of learntNames(node)) {
      const tensor = fixed.initializers.get(name);
      if (!tensor || counted.has(name) || !isFloat(tensor.dtype)) continue;
      if (arithmetic.has(node.op) && tensor.data.length === 1) continue;
      counted.add(name);
      tensors.push(tensor);
    }
    return {
      name: node.name,
      op: node.op,
      shape: shapes.get(node.outputs[0] ?? '') ?? [],
      parameters: tensors.reduce((sum, { data }) => sum + data.length, 0),
      nonzero: tensors.reduce((sum, { data }) => sum + countNonzero(data as Float32Array), 0),
      macs: multiplyAccumulates(node, shapes),
    };
  });
}

/** Names of the values in an operator's learnt positions (whether or not they are initializers). */
export function learntNames(node: Node): string[] {
  const positions = Object.hasOwn(learntInputs, node.op) ? learntInputs[node.op]! : [];
  return positions.flatMap((index) => node.inputs[index] || []);
}

function countNonzero(data: Float32Array): number {
  let count = 0;
  for (const value of data) if (value !== 0) count++;
  return count;
}

function multiplyAccumulates(node: Node, shapes: ReadonlyMap<string, readonly number[]>): number {
  const [a, b] = [shapes.get(node.inputs[0] ?? ''), shapes.get(node.inputs[1] ?? '')];
  if (!a || !b) return 0;
  switch (node.op) {
    case 'Conv': {
      const g = convGeometry(node, a, b);
      return g.n * g.oc * g.oh * g.ow * (g.ic / g.groups) * g.kh * g.kw;
    }
    case 'Gemm': {
      const g = gemmGeometry(node, a, b);
      return g.m * g.n * g.k;
    }
    case 'MatMul': {
      const g = matMulGeometry(node, a, b);
      return numel(g.batch) * g.m * g.n * g.k;
    }
    default:
      return 0;
  }
}
