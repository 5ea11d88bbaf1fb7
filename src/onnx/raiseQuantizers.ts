import { FAKE_QUANTIZE, MOST_BITS } from '../engine/quantizer.ts';
import { InputError } from '../graph/errors.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Node, Tensor } from '../graph/types.ts';
import { type QuantizerLevels, quantizerLevels } from '../kernels/fakeQuantize.ts';
import { levelsOfType } from './lowerQuantizers.ts';
import { type Quantization, quantizationOf } from './quantization.ts';
import type { Raising } from './raising.ts';
import { isNamedAfter } from './separateBias.ts';

/** Attributes of our quantizer, and the ends at which its input has to be cut off first. */
interface Form {
  bits: number;
  signed: 0 | 1;
  narrow: 0 | 1;
  axis: number;
  clip?: QuantizerLevels;
}

/**
 * Makes one quantizer (`wgslim.FakeQuantize`) of each QuantizeLinear with the DequantizeLinears that read it, and of the
 * Clip that the export puts before them. Where the zero point is not 0 the levels lie unevenly around 0, which our
 * quantizer does not have: it gets more bits, and a Clip before it cuts off at the outermost levels. Pairs that do not
 * fit (scales that are no constants, other operators between the two) stay as they are.
 */
export function raiseQuantizers(raising: Raising): void {
  const { nodes } = raising;
  if (!nodes.some(({ op }) => op === 'QuantizeLinear')) return;
  const readers = readersOf(nodes);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const replaced = new Map<Node, Node[]>();
  const renamed = new Map<string, string>();
  for (const quantize of nodes) {
    if (quantize.op !== 'QuantizeLinear') continue;
    const pair = pairOf(raising, quantize, readers);
    if (!pair) continue;
    const { quantization, dequantizers } = pair;
    const [first, ...others] = dequantizers as [Node, ...Node[]];
    const given = producers.get(quantize.inputs[0]!);
    const clip =
      given && readers.get(given.outputs[0]!)?.length === 1 && !raising.outputs.has(given.outputs[0]!)
        ? given
        : undefined;
    const cut = clip && clipOfExport(raising, clip, first.name, quantization);
    const form = cut ?? formOf(quantization);
    if (!form) continue;
    const result: Node[] = [];
    let [value] = quantize.inputs as [string];
    if (cut) {
      value = clip!.inputs[0]!;
      replaced.set(clip!, []);
      for (const name of clip!.inputs.slice(1)) raising.spent.add(name);
    } else if (form.clip) {
      result.push(addClip(raising, first, value, form.clip, quantization.scale[0]!));
      value = result[0]!.outputs[0]!;
    }
    const { bits, signed, narrow, axis } = form;
    const scale = scaleFor(raising, quantize, first, axis, readers);
    result.push({
      name: first.name,
      op: FAKE_QUANTIZE,
      inputs: [value, scale],
      outputs: [first.outputs[0]!],
      attributes: { bits, signed, narrow, axis },
    });
    replaced.set(quantize, []);
    replaced.set(first, result);
    for (const { inputs } of [quantize, ...dequantizers]) if (inputs[2]) raising.spent.add(inputs[2]);
    for (const other of others) {
      replaced.set(other, []);
      renamed.set(other.outputs[0]!, first.outputs[0]!);
    }
  }
  raising.nodes = nodes
    .flatMap((node) => replaced.get(node) ?? [node])
    .map((node) => ({ ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) }));
}

function readersOf(nodes: readonly Node[]): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  return readers;
}

/** Undefined unless all that reads the integers are DequantizeLinears with the same scale and zero point. */
function pairOf(
  { initializers, fourBit, outputs }: Raising,
  quantize: Node,
  readers: ReadonlyMap<string, readonly Node[]>,
): { quantization: Quantization; dequantizers: readonly Node[] } | undefined {
  const integers = quantize.outputs[0]!;
  const dequantizers = readers.get(integers) ?? [];
  if (outputs.has(integers) || dequantizers.length === 0) return undefined;
  const quantization = quantizationOf(quantize, initializers, fourBit);
  if (!quantization || quantization.type === 'int32' || quantization.blockSize !== 0) return undefined;
  for (const [index, node] of dequantizers.entries()) {
    if (node.op !== 'DequantizeLinear' || node.inputs.lastIndexOf(integers) !== 0) return undefined;
    // An output of the graph keeps its name, which only the first can.
    if (index > 0 && outputs.has(node.outputs[0]!)) return undefined;
    const other = quantizationOf(node, initializers, fourBit, quantization.type);
    if (other?.blockSize !== 0 || !sameNumbers(other.scale, quantization.scale)) return undefined;
    if (quantization.scale.length > 1 && other.axis !== quantization.axis) return undefined;
    if (!sameNumbers(other.zeroPoint ?? [], quantization.zeroPoint ?? [])) return undefined;
  }
  return { quantization, dequantizers };
}

function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((value, index) => value === b[index]);
}

function formOf({ type, scale, zeroPoint, scaleShape, axis: given }: Quantization): Form | undefined {
  const levels = levelsOfType(type as 'int8');
  const isOne = scale.length === 1 && scaleShape.length <= 1;
  // A negative axis would need the tensor's rank.
  if (!isOne && (scaleShape.length !== 1 || given < 0)) return undefined;
  const axis = isOne ? -1 : given;
  const isSigned = levels.low < 0;
  if (!zeroPoint) {
    return { bits: Math.log2(levels.high - levels.low + 1), signed: isSigned ? 1 : 0, narrow: 0, axis };
  }
  if (!isOne) return undefined;
  const low = levels.low - zeroPoint[0]!;
  const high = levels.high - zeroPoint[0]!;
  for (let bits = 2; bits <= MOST_BITS; bits++) {
    const full = quantizerLevels(bits, true, false);
    if (full.low <= low && high <= full.high) return { bits, signed: 1, narrow: 0, axis, clip: { low, high } };
  }
  return undefined;
}

/** The levels that a Clip of our export cuts off at; it bears the name of the quantizer it was made for. */
function clipOfExport(raising: Raising, clip: Node, quantizer: string, quantization: Quantization): Form | undefined {
  const { type, scale, zeroPoint } = quantization;
  if (clip.op !== 'Clip' || !isNamedAfter(clip.name, `${quantizer}_clip`)) return undefined;
  if (scale.length !== 1 || zeroPoint) return undefined;
  const [min, max] = [1, 2].map((index) => scalar(raising.initializers.get(clip.inputs[index] ?? '')));
  if (min === undefined || max === undefined) return undefined;
  const [step] = scale as unknown as [number];
  const [low, high] = [min, max].map((bound) => Math.round(bound / step) + 0) as [number, number];
  if (Math.fround(step * low) !== min || Math.fround(step * high) !== max) return undefined;
  const full = levelsOfType(type as 'int8');
  const signed = full.low < 0;
  const bits = Math.log2(high + 1) + (signed ? 1 : 0);
  if (!Number.isInteger(bits) || bits > MOST_BITS || bits < (signed ? 2 : 1)) return undefined;
  for (const narrow of [0, 1] as const) {
    const levels = quantizerLevels(bits, signed, narrow === 1);
    if (levels.low !== low || levels.high !== high) continue;
    return { bits, signed: signed ? 1 : 0, narrow: signed ? narrow : 0, axis: -1 };
  }
  return undefined;
}

function scalar(tensor: Tensor | undefined): number | undefined {
  return tensor?.dtype === 'float32' && tensor.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

function addClip(raising: Raising, { name }: Node, value: string, { low, high }: QuantizerLevels, step: number): Node {
  const bound = (wanted: string, level: number) => {
    const constant = raising.unique(`${name}_${wanted}`);
    raising.initializers.set(constant, floatTensor([], [step * level]));
    return constant;
  };
  return {
    name: raising.unique(`${name}_saturate`),
    op: 'Clip',
    inputs: [value, bound('lowest', low), bound('highest', high)],
    outputs: [raising.unique(`${value}_saturated`)],
    attributes: {},
  };
}

/** The initializer with the scales, in the shape of our form; one of its own where something else reads them too. */
function scaleFor(
  raising: Raising,
  quantize: Node,
  { name: quantizer }: Node,
  axis: number,
  readers: ReadonlyMap<string, readonly Node[]>,
): string {
  const name = quantize.inputs[1]!;
  const tensor = raising.initializers.get(name);
  if (!tensor) throw new InputError(`the scale '${name}' does not exist`);
  const data = tensor.data as Float32Array;
  const shape = axis < 0 ? [1] : [data.length];
  const isOurs = (readers.get(name) ?? []).every(
    ({ op, inputs }) => (op === 'QuantizeLinear' || op === 'DequantizeLinear') && inputs.lastIndexOf(name) === 1,
  );
  if (isOurs && !raising.outputs.has(name)) {
    raising.initializers.set(name, floatTensor(shape, data));
    return name;
  }
  const own = raising.unique(`${quantizer}_scale`);
  raising.initializers.set(own, floatTensor(shape, data));
  return own;
}
