/** Axes of equal behaviour that follow each other, taken as one: a length and each operand's stride (0: broadcast). */
export interface BroadcastAxis {
  readonly size: number;
  readonly a: number;
  readonly b: number;
}

/**
 * The axes over which two contiguous operands broadcast to `out` (NumPy's rule), innermost first, merged where both
 * operands go on in the same way. Axes of length 1 are dropped.
 */
export function mergeBroadcast(
  aShape: readonly number[],
  bShape: readonly number[],
  out: readonly number[],
): BroadcastAxis[] {
  const axes: { size: number; a: number; b: number }[] = [];
  let [aCount, bCount] = [1, 1];
  for (let back = 1; back <= out.length; back++) {
    const size = out.at(-back)!;
    if (size === 1) continue;
    const [aSize, bSize] = [aShape.at(-back) ?? 1, bShape.at(-back) ?? 1];
    const last = axes.at(-1);
    const [a, b] = [aSize === 1 ? 0 : aCount, bSize === 1 ? 0 : bCount];
    if (last && last.a > 0 === a > 0 && last.b > 0 === b > 0) last.size *= size;
    else axes.push({ size, a, b });
    aCount *= aSize;
    bCount *= bSize;
  }
  return axes;
}

export interface StridedAxis {
  readonly size: number;
  readonly stride: number;
}

/** The kept and the reduced axes of a contiguous tensor, each innermost first, merged where they follow each other. */
export function mergeReduction(
  shape: readonly number[],
  axes: readonly number[],
): { kept: StridedAxis[]; reduced: StridedAxis[]; innermostReduced: boolean } {
  const kept: { size: number; stride: number }[] = [];
  const reduced: { size: number; stride: number }[] = [];
  let stride = 1;
  let last: typeof kept | undefined;
  let innermostReduced = false;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    if (size === 1) continue;
    const list = axes.includes(axis) ? reduced : kept;
    if (!last) innermostReduced = list === reduced;
    if (list === last) list.at(-1)!.size *= size;
    else list.push({ size, stride });
    last = list;
    stride *= size;
  }
  return { kept, reduced, innermostReduced };
}
