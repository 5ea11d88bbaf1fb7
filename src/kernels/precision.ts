import type { Capabilities, Precision } from '../gpu/capabilities.ts';

/** What a plan multiplies in, and why, as the end of a sentence, where something else than f32 was asked for. */
export interface PrecisionChoice {
  precision: Precision;
  reason?: string;
}

/**
 * Half precision where it was asked for and is a gain. It is a choice of the caller's, because results differ: inputs
 * beyond 65504 and products of two that are beyond it become infinite.
 */
export function choosePrecision(
  { kind, f16 }: Pick<Capabilities, 'kind' | 'f16'>,
  asked: Precision = 'f32',
): PrecisionChoice {
  if (asked === 'f32') return { precision: 'f32' };
  if (!f16) return { precision: 'f32', reason: 'the adapter has no half-precision arithmetic (shader-f16)' };
  // On lavapipe, half-precision arithmetic took 2.2 times as long: it is computed in float32 and rounded.
  if (kind === 'cpu') return { precision: 'f32', reason: 'a processor computes half precision more slowly' };
  return { precision: 'f16', reason: 'the adapter has it' };
}

/** The capabilities that a plan is recorded with. */
export function withPrecision(capabilities: Capabilities, asked: Precision | undefined): Capabilities {
  const { precision } = choosePrecision(capabilities, asked);
  return precision === 'f32' ? capabilities : { ...capabilities, precision };
}
