/** First scales of a uniform quantizer, from the numbers it will quantize. */
import type { QuantizerLevels } from '../kernels/fakeQuantize.ts';

/**
 * s = 2·mean|w|/√Qp (Esser et al. 2020, LSQ, §2.1), the mean over what is not zero: a pruned weight says nothing of the
 * others' scale. At least `floor`, for a channel that is all zero.
 */
export function lsqScale(values: Float32Array, { high }: QuantizerLevels, floor = 1e-8): number {
  let sum = 0;
  let used = 0;
  for (const value of values) {
    if (value !== 0) {
      sum += Math.abs(value);
      used++;
    }
  }
  return Math.max(used > 0 ? (2 * sum) / used / Math.sqrt(high) : 0, floor);
}

const STEPS = 80;
const NORM = 2.4;

/**
 * The scale that loses least: the range max|w| shrunk in 80 steps, the error Σ|w − ŵ|^2.4 of each (the search of GPTQ's
 * reference quantizer, Frantar et al. 2022), zeros left out.
 */
export function mseScale(values: Float32Array, range: QuantizerLevels, floor = 1e-8): number {
  const used = values.filter((value) => value !== 0);
  const largest = used.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  if (largest === 0) return floor;
  let best = largest / range.high;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < STEPS; step++) {
    const scale = (largest * (1 - step / (STEPS * 1.1))) / range.high;
    let error = 0;
    for (const value of used) {
      const level = Math.min(Math.max(Math.round(value / scale), range.low), range.high);
      error += Math.abs(value - scale * level) ** NORM;
      if (error >= least) break;
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return Math.max(best, floor);
}

/** One channel of a tensor along `axis`, gathered. */
export function channelValues(
  data: Float32Array,
  shape: readonly number[],
  axis: number,
  channel: number,
): Float32Array {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const out = new Float32Array(outer * inner);
  for (let o = 0; o < outer; o++) {
    const start = (o * shape[axis] + channel) * inner;
    out.set(data.subarray(start, start + inner), o * inner);
  }
  return out;
}
