import { numberAttribute } from '../graph/attributes.ts';
import type { Node } from '../graph/types.ts';
import { type QuantizerLevels, quantizerLevels, quantizerStep } from '../kernels/fakeQuantize.ts';

/** The operator of quantizers in our graphs; ops/fakeQuantize.ts says what it computes. */
export const FAKE_QUANTIZE = 'wgslim.FakeQuantize';

/** No quantizer has more. */
export const MOST_BITS = 16;

/** What the attributes of a quantizer say. */
export interface QuantizerSettings {
  bits: number;
  signed: boolean;
  /** One scale for each index along it; −1: one scale for the tensor. */
  axis: number;
  /** Steps are the powers of two next to the scales. */
  powerOfTwo: boolean;
  levels: QuantizerLevels;
}

/** Takes any numbers: the operator checks them when a graph is prepared. @throws InputError where one is no number */
export function quantizerSettings(node: Node): QuantizerSettings {
  const bits = numberAttribute(node, 'bits', 8);
  const signed = numberAttribute(node, 'signed', 1) !== 0;
  const levels = quantizerLevels(bits, signed, numberAttribute(node, 'narrow', 0) !== 0);
  const powerOfTwo = numberAttribute(node, 'powerOfTwo', 0) !== 0;
  return { bits, signed, axis: numberAttribute(node, 'axis', -1), powerOfTwo, levels };
}

/** The steps that a quantizer takes from its scales. */
export function quantizerSteps(node: Node, scales: Float32Array): Float32Array {
  const { powerOfTwo } = quantizerSettings(node);
  return scales.map((scale) => quantizerStep(scale, powerOfTwo));
}
