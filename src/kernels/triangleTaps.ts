/** Digits of a weight after the binary point. */
export const TAP_POINT = 22;

export interface Taps {
  /** First input position of output position i. */
  first: Int32Array;
  /** Number of input positions. */
  count: Int32Array;
  /** Weights of output position i at `i * width`, scaled by 2^22; they sum to about 2^22, so sums over bytes fit 31 bits. */
  weights: Int32Array;
  width: number;
}

/**
 * Linear interpolation whose triangle widens when an image shrinks (Heckbert, "Filtering by Repeated Integration"), as
 * Pillow's `bilinear`: weights for output positions from .. from + count - 1 of `outLength`, over `inLength` input
 * positions.
 */
export function triangleTaps(inLength: number, outLength: number, from: number, count: number): Taps {
  const ratio = inLength / outLength;
  const radius = Math.max(1, ratio);
  const width = 2 * Math.ceil(radius) + 1;
  const taps: Taps = {
    first: new Int32Array(count),
    count: new Int32Array(count),
    weights: new Int32Array(count * width),
    width,
  };
  for (let i = 0; i < count; i++) {
    const centre = (from + i + 0.5) * ratio;
    const first = Math.max(0, Math.floor(centre - radius + 0.5));
    const end = Math.min(inLength, Math.floor(centre + radius + 0.5));
    const weight = (position: number) => Math.max(0, 1 - Math.abs(position + 0.5 - centre) / radius);
    let sum = 0;
    for (let position = first; position < end; position++) sum += weight(position);
    for (let position = first; position < end; position++) {
      taps.weights[i * width + position - first] = Math.floor((weight(position) / sum) * 2 ** TAP_POINT + 0.5);
    }
    taps.first[i] = first;
    taps.count[i] = end - first;
  }
  return taps;
}
