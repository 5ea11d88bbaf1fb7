/**
 * The bias of a quantized layer as an Add after it, and back. onnxruntime's integer kernels take biases as integers in
 * steps of (step of the input)·(step of the weight): where it finds a float bias in a layer whose output is quantized
 * too, it rounds it to those, by up to half a step, which moves the answer. It leaves an Add alone.
 */
import { numberAttribute } from '../graph/attributes.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import type { Lowering } from './lowering.ts';
import type { Raising } from './raising.ts';

/** Biases that one layer alone reads, for which `isQuantized` holds, with the shape that they get in an Add. */
export function separableBiases(graph: Graph, isQuantized: (node: Node) => boolean): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const node of graph.nodes) {
    const shape = isQuantized(node) ? shapeInAdd(node, graph.initializers) : undefined;
    if (shape && isReadOnce(graph, node.inputs[2]!)) shapes.set(node.inputs[2]!, shape);
  }
  return shapes;
}

/** [C, 1, …] for a convolution, [N] for a product; undefined where the bias is none that an Add can do as well. */
function shapeInAdd(node: Node, initializers: ReadonlyMap<string, Tensor>): number[] | undefined {
  const [, weight = '', bias = ''] = node.inputs;
  const tensor = initializers.get(bias);
  if (tensor?.dtype !== 'float32' || tensor.shape.length !== 1) return undefined;
  if (node.op === 'Gemm') return numberAttribute(node, 'beta', 1) === 1 ? [...tensor.shape] : undefined;
  const rank = initializers.get(weight)?.shape.length ?? 0;
  return node.op === 'Conv' && rank > 2 ? [tensor.data.length, ...new Array<number>(rank - 2).fill(1)] : undefined;
}

function isReadOnce({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>, name: string): boolean {
  const reads = nodes.flatMap(({ inputs }) => inputs).filter((input) => input === name).length;
  return reads === 1 && outputs.every((output) => output.name !== name);
}

/** The layer without its bias, and the Add, if it is one of `biases`. */
export function separateBias(
  { initializers, unique }: Lowering,
  biases: ReadonlyMap<string, readonly number[]>,
  node: Node,
): Node[] {
  const [activation, weight, bias = ''] = node.inputs as [string, string];
  const shape = biases.get(bias);
  if (!shape) return [node];
  initializers.set(bias, { ...initializers.get(bias)!, shape });
  const [output] = node.outputs as [string];
  const sum = unique(`${output}_unbiased`);
  return [
    { ...node, inputs: [activation, weight], outputs: [sum] },
    { name: unique(`${node.name}_bias`), op: 'Add', inputs: [sum, bias], outputs: [output], attributes: {} },
  ];
}

/** Puts the biases that the export separated (the names of the Adds say so) back into their layers. */
export function joinBiases(raising: Raising, graph: Graph): void {
  const { nodes, initializers } = raising;
  const layers = new Map(
    nodes.filter(({ op }) => op === 'Conv' || op === 'Gemm').map((node) => [node.outputs[0]!, node]),
  );
  const joined = new Map<Node, Node | undefined>();
  for (const add of nodes) {
    const [sum = '', bias = ''] = add.inputs;
    const layer = layers.get(sum);
    if (add.op !== 'Add' || !layer || layer.inputs.length !== 2 || !isNamedAfter(add.name, `${layer.name}_bias`))
      continue;
    const tensor = initializers.get(bias);
    if (!tensor) continue;
    const whole = { ...layer, inputs: [...layer.inputs, bias], outputs: add.outputs };
    const flat: Tensor = { ...tensor, shape: [tensor.data.length] };
    const expected = shapeInAdd(whole, new Map(initializers).set(bias, flat));
    if (expected?.join() !== tensor.shape.join()) continue;
    if (!isReadOnce({ nodes, outputs: graph.outputs }, bias) || !isReadOnce({ nodes, outputs: graph.outputs }, sum))
      continue;
    initializers.set(bias, flat);
    joined.set(layer, whole).set(add, undefined);
  }
  raising.nodes = nodes.flatMap((node) => (joined.has(node) ? (joined.get(node) ?? []) : [node]));
}

/** Whether a name is the wanted one, or that with the number which makes it unique. */
export function isNamedAfter(name: string, wanted: string): boolean {
  return name.startsWith(wanted) && /^(_\d+)?$/.test(name.slice(wanted.length));
}
