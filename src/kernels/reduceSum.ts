import type { Capabilities } from '../gpu/capabilities.ts';
import { LimitError } from '../gpu/errors.ts';
import { reduceSumShader } from './generated/reduce.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { LINE_WG } from './lines.ts';
import { mergeReduction, type StridedAxis } from './strides.ts';

export interface ReductionSplit {
  /** Invocations that share one sum. */
  lanes: number;
  /** Parts of every sum that are summed apart and added by a second pass. */
  splits: number;
  /** Elements in a part. */
  chunk: number;
}

/**
 * How to spread sums of `length` elements each. Lanes read neighbouring elements where the innermost axis is reduced;
 * on a CPU adapter they would only wait for each other. Splits serve an adapter that has more invocations than there
 * are sums, and keep a single sum short enough (4096 elements) for its rounding errors to stay small.
 */
export function splitReduction(shape: ReductionShape, adapter: Pick<Capabilities, 'kind' | 'tuned'>): ReductionSplit {
  const tuned = adapter.tuned?.choose<ReductionSplit>('sum', adapter, shape);
  if (tuned) return tuned;
  const { outputs, length, innermostReduced } = shape;
  const isLong = length >= LINE_WG && (innermostReduced || outputs < LINE_WG);
  return splitByLanes(shape, adapter, adapter.kind === 'gpu' && isLong ? LINE_WG : 1);
}

export interface ReductionShape {
  outputs: number;
  length: number;
  innermostReduced: boolean;
}

export function splitByLanes(
  { outputs, length }: ReductionShape,
  { kind }: Pick<Capabilities, 'kind'>,
  lanes: number,
): ReductionSplit {
  const perLane = Math.max(1, Math.ceil(length / lanes));
  const wantedInvocations = kind === 'gpu' ? 16384 : 128;
  const useful = perLane <= 256 ? 1 : Math.ceil(perLane / 32);
  const wanted = Math.max(Math.ceil(wantedInvocations / (outputs * lanes)), Math.ceil(perLane / 4096));
  const chunk = Math.ceil(length / Math.max(1, Math.min(useful, wanted, 1024)));
  const splits = Math.max(1, Math.ceil(length / Math.max(1, chunk)));
  return { lanes, splits, chunk };
}

const MAX_AXES = 4;

/** out = scale·Σ x over `axes`: the elements in the order of the axes that are left, whatever shape out has. */
export function reduceSum(
  recorder: Recorder,
  {
    x,
    out,
    shape,
    axes,
    scale = 1,
    label = 'sum',
  }: {
    x: Operand<'f32'>;
    out: Operand<'f32'>;
    shape: readonly number[];
    axes: readonly number[];
    scale?: number;
    label?: string;
  },
): void {
  const outputs = out.elements;
  if (outputs === 0) return;
  const { kept, reduced, innermostReduced } = mergeReduction(shape, axes);
  if (kept.length > MAX_AXES || reduced.length > MAX_AXES) {
    throw new LimitError(
      `A sum over the axes ${axes} of [${shape}] alternates between kept and summed axes more than ${MAX_AXES} times`,
    );
  }
  const axesInUnits = inUnits(kept, reduced);
  const length = axesInUnits.reduced.reduce((product, { size }) => product * size, 1);
  const split = splitReduction({ outputs, length, innermostReduced }, recorder.capabilities);
  if (split.splits === 1) {
    sumPass(recorder, { x, out, ...axesInUnits, length, split, scale, label });
    return;
  }
  const parts = recorder.temporary('f32', outputs * split.splits, `${label}: parts`);
  sumPass(recorder, { x, out: parts, ...axesInUnits, length, split, scale: 1, label });
  reduceSum(recorder, {
    x: parts,
    out,
    shape: [split.splits, outputs],
    axes: [0],
    scale,
    label: `${label}, second pass`,
  });
}

/** Axes in vectors of four, where neighbours are summed and all vectors are whole; as they are elsewhere. */
export function inUnits(
  kept: readonly StridedAxis[],
  reduced: readonly StridedAxis[],
): { width: 1 | 4; kept: readonly StridedAxis[]; reduced: readonly StridedAxis[] } {
  const [innermost, ...others] = reduced;
  const isWhole = ({ stride }: StridedAxis) => stride % 4 === 0;
  if (innermost?.stride !== 1 || innermost.size % 4 !== 0 || ![...kept, ...others].every(isWhole)) {
    return { width: 1, kept, reduced };
  }
  const quarter = ({ size, stride }: StridedAxis) => ({ size, stride: stride / 4 });
  return {
    width: 4,
    kept: kept.map(quarter),
    reduced: [{ size: innermost.size / 4, stride: 1 }, ...others.map(quarter)],
  };
}

function sumPass(
  recorder: Recorder,
  {
    x,
    out,
    width,
    kept,
    reduced,
    length,
    split: { lanes, splits, chunk },
    scale,
    label,
  }: {
    x: Operand<'f32'>;
    out: Operand<'f32'>;
    width: 1 | 4;
    kept: readonly StridedAxis[];
    reduced: readonly StridedAxis[];
    length: number;
    split: ReductionSplit;
    scale: number;
    label: string;
  },
): void {
  // A lane of a CPU adapter has a sum of its own: one subgroup is enough for a workgroup.
  const wg = recorder.capabilities.kind === 'cpu' ? 8 : LINE_WG;
  const size = (axes: readonly StridedAxis[], i: number) => axes[i]?.size ?? 1;
  const stride = (axes: readonly StridedAxis[], i: number) => axes[i]?.stride ?? 0;
  recorder.dispatch(reduceSumShader, {
    operands: { x, out },
    args: {
      ...{ outputs: out.elements / splits, length, chunk, splits, scale },
      ...{ k0: size(kept, 0), k1: size(kept, 1), k2: size(kept, 2) },
      ...{ ks0: stride(kept, 0), ks1: stride(kept, 1), ks2: stride(kept, 2), ks3: stride(kept, 3) },
      ...{ r0: size(reduced, 0), r1: size(reduced, 1), r2: size(reduced, 2) },
      ...{ rs0: stride(reduced, 0), rs1: stride(reduced, 1), rs2: stride(reduced, 2), rs3: stride(reduced, 3) },
    },
    tunables: {
      WG: wg,
      LANES: lanes,
      DIMS: reduced.length <= 1 ? 1 : reduced.length === 2 ? 2 : 4,
      T: width === 4 ? 'vec4f' : 'f32',
      WIDTH: width,
    },
    workgroups: grid(out.elements, wg / lanes),
    label,
  });
}
