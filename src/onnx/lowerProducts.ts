import { numberAttribute } from '../graph/attributes.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import type { Lowering } from './lowering.ts';
import { MATMUL_NBITS, type PackedProduct, packedBits, packedBlock, packProduct } from './packedProduct.ts';
import type { QuantizedWeight } from './quantizedWeight.ts';

/** Weights that MatMulNBits can take for all that read them, packed, by initializer. */
export function packableProducts(
  graph: Graph,
  weights: ReadonlyMap<string, QuantizedWeight>,
): Map<string, PackedProduct> {
  const products = new Map<string, PackedProduct>();
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  for (const [name, weight] of weights) {
    if (weight.shape.length !== 2 || outputs.has(name)) continue;
    const readers = graph.nodes.filter(({ inputs }) => inputs.includes(name));
    const forms = new Set(readers.map((node) => formOf(graph, node, name)));
    const [form] = forms;
    if (forms.size !== 1 || form === undefined) continue;
    const isTransposed = form === 'columns';
    const k = weight.shape[isTransposed ? 0 : 1]!;
    // A row of B is what shares scales: groups of [K, N] run across rows, and so does a scale for each index of K.
    const isAcross = isTransposed ? weight.groupSize !== undefined || weight.axis === 0 : weight.axis === 1;
    if (isAcross || k === 0 || weight.shape.includes(0)) continue;
    const block = packedBlock(k, packedBits(weight), weight.groupSize);
    if (block !== undefined) products.set(name, packProduct(weight, block, isTransposed));
  }
  return products;
}

/** Whether the weight lies as [N, K] or [K, N]; undefined where the node computes more than MatMulNBits does. */
function formOf({ initializers }: Graph, node: Node, weight: string): 'rows' | 'columns' | undefined {
  if (node.inputs.filter((name) => name === weight).length !== 1 || node.inputs[1] !== weight) return undefined;
  if (node.op === 'MatMul') return 'columns';
  if (node.op !== 'Gemm') return undefined;
  const number = (name: string, fallback: number) => numberAttribute(node, name, fallback);
  if (number('transA', 0) !== 0 || number('alpha', 1) !== 1) return undefined;
  const isTransposed = number('transB', 0) !== 0;
  const bias = node.inputs[2] ?? '';
  if (bias !== '') {
    const shape = initializers.get(bias)?.shape;
    const n = initializers.get(weight)!.shape[isTransposed ? 0 : 1];
    if (number('beta', 1) !== 1 || shape?.length !== 1 || shape[0] !== n) return undefined;
  }
  return isTransposed ? 'rows' : 'columns';
}

export function lowerProductWeight(lowering: Lowering, name: string, product: PackedProduct): void {
  const { n, k, bits, block, codes, scales, zeroPoints } = product;
  const blocks = Math.ceil(k / block);
  lowering.initializers.set(name, { dtype: 'uint8', shape: [n, blocks, (block * bits) / 8], data: codes });
  const add = (wanted: string, tensor: Tensor) => {
    const added = lowering.unique(wanted);
    lowering.initializers.set(added, tensor);
    return added;
  };
  const scale = add(`${name}_scale`, floatTensor([scales.length], scales));
  const zeros =
    zeroPoints && add(`${name}_zero_point`, { dtype: 'uint8', shape: [zeroPoints.length], data: zeroPoints });
  lowering.packed.set(name, [scale, zeros ?? '']);
}

/** The Gemm or MatMul as a MatMulNBits of the same name, if its weight was packed. */
export function lowerProduct({ packed }: Lowering, products: ReadonlyMap<string, PackedProduct>, node: Node): Node {
  const [activation, weight = '', bias = ''] = node.inputs as [string];
  const product = products.get(weight);
  if (!product) return node;
  const { n, k, bits, block } = product;
  const inputs = [activation, weight, ...packed.get(weight)!];
  if (bias !== '') inputs.push('', bias);
  while (inputs.at(-1) === '') inputs.pop();
  return {
    name: node.name,
    op: MATMUL_NBITS,
    inputs,
    outputs: node.outputs,
    attributes: { K: k, N: n, bits, block_size: block },
  };
}
