import { nmMaskShader } from './generated/prune.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { asBits } from './selectThreshold.ts';

const WG = 64;
/** The largest M that the kernel has registers for. */
const MOST = 32;

export interface NmMaskOptions {
  /** A range of the arena: not negative, NaN the largest. */
  scores: Operand<'f32'>;
  /** One bit per element, 1 keeps; what is pruned stays so. */
  mask: Operand<'u32'>;
  /** First element of the parameter in the range. */
  offset: number;
  /**
   * The parameter as [outer, length, inner], with the groups along `length`: the reduction dimension. A dense layer
   * [out, in] is (out, in, 1); a convolution [out, in, kh, kw] whose groups run over its input channels (out, in, kh·kw).
   */
  outer: number;
  length: number;
  inner: number;
  /** N of every M are kept. */
  n: number;
  m: number;
}

/** Keeps the N elements of every M with the largest scores (2:4, 4:8, …) and prunes the others. */
export function nmMask(recorder: Recorder, options: NmMaskOptions): void {
  const { scores, mask, offset, outer, length, inner, n, m } = options;
  if (!(Number.isInteger(n) && Number.isInteger(m) && n >= 1 && n <= m && m <= MOST)) {
    throw new Error(`${n}:${m} sparsity needs whole numbers with 1 <= N <= M <= ${MOST}`);
  }
  const groups = outer * Math.ceil(length / m) * inner;
  recorder.dispatch(nmMaskShader, {
    operands: { scores: asBits(scores), mask },
    args: { first: offset, outer, length, inner, keep: n, size: m },
    tunables: { WG },
    workgroups: grid(groups, WG),
    label: `${n}:${m} mask`,
  });
}
