/**
 * The gradient by a convolution's input, along one axis. Input row i receives, from output row o through tap t, where
 * o·stride = i + pad − t·dilation. Rows of one phase, i = phase + stride·j, are reached by the same taps: every
 * (stride / gcd)-th one. So each phase is itself a convolution of the output's gradient, with stride 1, those taps in
 * reverse order, and no multiplication by inserted zeros.
 */
export interface AxisPhase {
  /** First input row of the phase. */
  first: number;
  /** Input rows of the phase. */
  count: number;
  /** Taps that reach it; may be none. */
  taps: number;
  /** The tap that comes first in reverse order, and the distance to the one after it. */
  lastTap: number;
  tapStep: number;
  /** Row of the gradient (before padding; may be negative) where the phase's first input row begins to read. */
  base: number;
}

export interface AxisPhases {
  phases: AxisPhase[];
  /** Rows between consecutive taps in the gradient. */
  spacing: number;
  /** Zero rows that the gradient needs before and after. */
  before: number;
  after: number;
}

export function axisPhases(axis: {
  input: number;
  output: number;
  kernel: number;
  stride: number;
  dilation: number;
  pad: number;
}): AxisPhases {
  const { input, output, kernel, stride, dilation, pad } = axis;
  const common = gcd(stride, dilation);
  const spacing = dilation / common;
  const tapStep = stride / common;
  const phases: AxisPhase[] = [];
  let before = 0;
  let after = 0;
  for (let first = 0; first < Math.min(stride, input); first++) {
    const count = Math.ceil((input - first) / stride);
    const tap = Array.from({ length: Math.min(tapStep, kernel) }, (_, t) => t).find(
      (t) => (first + pad - t * dilation) % stride === 0,
    );
    if (tap === undefined) {
      phases.push({ first, count, taps: 0, lastTap: 0, tapStep, base: 0 });
      continue;
    }
    const taps = Math.ceil((kernel - tap) / tapStep);
    const base = (first + pad - tap * dilation) / stride - (taps - 1) * spacing;
    before = Math.max(before, -base);
    after = Math.max(after, base + count - 1 + (taps - 1) * spacing - (output - 1));
    phases.push({ first, count, taps, lastTap: tap + (taps - 1) * tapStep, tapStep, base });
  }
  return { phases, spacing, before, after };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
