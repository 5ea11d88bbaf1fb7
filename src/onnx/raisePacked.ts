import { FAKE_QUANTIZE } from '../engine/quantizer.ts';
import { describe, intAttribute } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { inferShapeOfOperator } from '../graph/infer/inferers.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import { BLOCKS, MATMUL_NBITS, type PackedProduct, unpackProduct } from './packedProduct.ts';
import { dequantize, type QuantizedWeight } from './quantizedWeight.ts';
import type { Raising } from './raising.ts';
import { inferRanks } from './ranks.ts';

/**
 * Makes Gemm or MatMul of each MatMulNBits; the float weight takes the name of the packed one. A Gemm, with the weight
 * [N, K] in groups of a block, where the input has two dimensions; else a MatMul with a weight [K, N], whose integers
 * are kept where each column has one scale. Needs all other operators in their final form, to infer ranks.
 */
export function raisePacked(raising: Raising, graph: Graph, declaredRanks: ReadonlyMap<string, number>): void {
  if (!raising.nodes.some(({ op }) => op === MATMUL_NBITS)) return;
  const { nodes, initializers } = raising;
  const ranks = inferRanks({ ...graph, nodes, initializers }, declaredRanks, shapeRule);
  const packed = new Map(initializers);
  const names = new Map<string, string>();
  raising.nodes = nodes.flatMap((node) => {
    if (node.op !== MATMUL_NBITS) return [node];
    const [activation, codes, ...parameters] = node.inputs as [string, string];
    const bias = node.inputs[5] ?? '';
    const isMatrix = ranks.get(activation) === 2;
    const key = JSON.stringify([codes, parameters, node.attributes, isMatrix]);
    let weight = names.get(key);
    if (weight === undefined) {
      const isFirst = initializers.get(codes) === packed.get(codes);
      weight = isFirst && onlyPacked(raising, nodes, codes) ? codes : raising.unique(`${codes}_float`);
      names.set(key, weight);
      addWeight(raising, weight, readProduct(node, packed), isMatrix);
    }
    for (const name of [codes, ...parameters.slice(0, 2)]) if (name !== '' && name !== weight) raising.spent.add(name);
    const { name, outputs } = node;
    if (isMatrix) {
      const inputs = [activation, weight, ...(bias === '' ? [] : [bias])];
      return [{ name, op: 'Gemm', inputs, outputs, attributes: { transB: 1 } }];
    }
    const product: Node = { name, op: 'MatMul', inputs: [activation, weight], outputs, attributes: {} };
    if (bias === '') return [product];
    const sum = raising.unique(`${outputs[0]}_product`);
    const add = { name: raising.unique(`${name}_bias`), op: 'Add', inputs: [sum, bias], outputs, attributes: {} };
    return [{ ...product, outputs: [sum] }, add];
  });
}

function shapeRule(op: string) {
  if (op === FAKE_QUANTIZE) return inferShapeOfOperator('Identity');
  if (op !== MATMUL_NBITS) return inferShapeOfOperator(op);
  return (node: Node, inputs: (readonly number[] | undefined)[]) => [
    [...(inputs[0] ?? []).slice(0, -1), intAttribute(node, 'N')],
  ];
}

function onlyPacked({ outputs }: Raising, nodes: readonly Node[], name: string): boolean {
  const isOther = ({ op, inputs }: Node) =>
    inputs.includes(name) && (op !== MATMUL_NBITS || inputs.lastIndexOf(name) > 1);
  return !outputs.has(name) && !nodes.some(isOther);
}

function addWeight({ initializers, weights }: Raising, name: string, product: PackedProduct, isMatrix: boolean): void {
  const rows = unpackProduct(product);
  if (isMatrix) {
    initializers.set(name, floatTensor(rows.shape, dequantize(rows)));
    weights.set(name, rows);
    return;
  }
  const { n, k } = product;
  initializers.set(name, floatTensor([k, n], transpose(dequantize(rows), n, k)));
  const columns = oneScaleEach(rows, product);
  if (columns) weights.set(name, columns);
}

/** The weight as [K, N] with a scale for each column, if all blocks of it have the same. */
function oneScaleEach(rows: QuantizedWeight, { n, k, block }: PackedProduct): QuantizedWeight | undefined {
  const blocks = Math.ceil(k / block);
  const { scale, zeroPoint } = rows;
  const isFirst = (values: ArrayLike<number>) =>
    Array.from(values).every((value, i) => value === values[i - (i % blocks)]);
  if (!isFirst(scale) || (zeroPoint && !isFirst(zeroPoint))) return undefined;
  return {
    shape: [k, n],
    bits: rows.bits,
    codes: transpose(Float32Array.from(rows.codes), n, k),
    scale: Float32Array.from({ length: n }, (_, column) => scale[column * blocks]!),
    zeroPoint: zeroPoint && Array.from({ length: n }, (_, column) => zeroPoint[column * blocks]!),
    axis: 1,
  };
}

/** [rows, columns] as [columns, rows]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column]!;
  }
  return out;
}

/** @throws InputError naming the node and what of it does not fit */
function readProduct(node: Node, initializers: ReadonlyMap<string, Tensor>): PackedProduct {
  const refuse = (why: string): never => {
    throw new InputError(`${describe(node)} ${why}`);
  };
  const [, codesName = '', scalesName = '', zerosName = '', order = ''] = node.inputs;
  const [n, k] = [intAttribute(node, 'N'), intAttribute(node, 'K')];
  const bits = intAttribute(node, 'bits', 4);
  const block = intAttribute(node, 'block_size');
  if (bits !== 4 && bits !== 8) return refuse(`has ${bits} bits; 4 and 8 are supported`);
  if (!BLOCKS.some((size) => size === block)) refuse(`has blocks of ${block}; ${BLOCKS.join(', ')} are supported`);
  if (n < 1 || k < 1) refuse(`has N = ${n} and K = ${k}, which must be positive`);
  if (order !== '') refuse('has an order of groups (g_idx), which is not supported');
  const blocks = Math.ceil(k / block);
  const constant = (name: string, what: string, dtype: 'uint8' | 'float32', length: number): Tensor['data'] => {
    const tensor = initializers.get(name);
    if (tensor?.dtype !== dtype) return refuse(`has ${what} that are no constant of ${dtype}, which is not supported`);
    if (tensor.data.length !== length) refuse(`has ${tensor.data.length} ${what} where ${length} are needed`);
    return tensor.data;
  };
  return {
    n,
    k,
    bits,
    block,
    codes: constant(codesName, 'bytes of weights', 'uint8', (n * blocks * block * bits) / 8) as Uint8Array,
    scales: constant(scalesName, 'scales', 'float32', n * blocks) as Float32Array,
    ...(zerosName !== '' && {
      zeroPoints: constant(
        zerosName,
        'bytes of zero points',
        'uint8',
        n * Math.ceil((blocks * bits) / 8),
      ) as Uint8Array,
    }),
  };
}
