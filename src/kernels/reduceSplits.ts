import { reduceSplitsShader } from './generated/matmul.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

const WG = 64;
/** The widest range of finite f32: no clamp. */
export const LOWEST = -3.4028234663852886e38;
export const HIGHEST = 3.4028234663852886e38;

/**
 * out = clamp(alpha·Σₛ parts[s] + beta·bias): adds the `splits` copies of a split sum in the order of s, so that the
 * result is the same on every run. `bias` broadcasts over out = [batches][rows][columns] by its strides.
 */
export function reduceSplits(
  recorder: Recorder,
  call: {
    parts: Operand<'f32'>;
    out: Operand<'f32'>;
    splits: number;
    /** Elements of out, from `offset` on; default all. */
    size?: number;
    offset?: number;
    rows?: number;
    columns?: number;
    bias?: { operand: Operand<'f32'>; rowStride: number; columnStride: number; beta: number };
    alpha?: number;
    lo?: number;
    hi?: number;
    label?: string;
  },
): void {
  const { parts, out, splits, bias } = call;
  const size = call.size ?? out.elements;
  // Starting a subgroup costs a CPU adapter as much as some dozen elements.
  const PER = recorder.capabilities.kind === 'cpu' ? 8 : 1;
  recorder.dispatch(reduceSplitsShader, {
    operands: { parts, bias: bias?.operand ?? parts, out },
    args: {
      size,
      splits,
      columns: call.columns ?? 1,
      rows: call.rows ?? 1,
      out_offset: call.offset ?? 0,
      bias_m: bias?.rowStride ?? 0,
      bias_n: bias?.columnStride ?? 0,
      alpha: call.alpha ?? 1,
      beta: bias?.beta ?? 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    },
    tunables: { WG, PER },
    workgroups: grid(size, WG * PER),
    label: call.label ?? 'sum of splits',
  });
}
