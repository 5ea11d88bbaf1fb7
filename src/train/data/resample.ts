/**
 * Resizing with linear interpolation whose triangle filter widens when an image shrinks. It is our own code because the
 * pixels have to be those that PIL's (and so torchvision's) `bilinear` gives: networks are measured with it, and other
 * libraries' filters of the same name move an ImageNet accuracy by a point or two.
 * Source of the method: Heckbert, "Filtering by Repeated Integration" and the classic two-pass resampling; weights are
 * rounded to 22 bits after the point and each pass to bytes, as PIL documents for 8-bit images.
 */
import type { Geometry } from '../../kernels/imageGeometry.ts';
import { TAP_POINT, type Taps, triangleTaps } from '../../kernels/triangleTaps.ts';

const HALF = 2 ** (TAP_POINT - 1);

/**
 * Resizes planar bytes and cuts a window out of the result.
 * @param planes channels x height x width
 * @param geometry size after the resize and the window in it
 * @returns channels x geometry.crop.height x geometry.crop.width
 */
export function resample(planes: Uint8Array, width: number, height: number, geometry: Geometry): Uint8Array {
  const { crop } = geometry;
  const channels = planes.length / (width * height);
  const across = geometry.width === width ? undefined : triangleTaps(width, geometry.width, crop.left, crop.width);
  const down = geometry.height === height ? undefined : triangleTaps(height, geometry.height, crop.top, crop.height);
  // Rows that the vertical pass will look at.
  const last = crop.height - 1;
  const top = down ? down.first[0]! : crop.top;
  const bottom = down ? down.first[last]! + down.count[last]! : crop.top + crop.height;
  const out = new Uint8Array(channels * crop.height * crop.width);
  for (let c = 0; c < channels; c++) {
    const plane = planes.subarray(c * width * height, (c + 1) * width * height);
    const target = out.subarray(c * crop.height * crop.width, (c + 1) * crop.height * crop.width);
    const rows = down ? new Uint8Array((bottom - top) * crop.width) : target;
    for (let y = top; y < bottom; y++) {
      const row = plane.subarray(y * width, (y + 1) * width);
      const result = rows.subarray((y - top) * crop.width, (y - top + 1) * crop.width);
      if (across) resampleRow(row, across, result);
      else result.set(row.subarray(crop.left, crop.left + crop.width));
    }
    if (down) resampleColumns(rows, top, crop.width, down, target);
  }
  return out;
}

function resampleRow(row: Uint8Array, taps: Taps, out: Uint8Array): void {
  for (let x = 0; x < out.length; x++) {
    const first = taps.first[x]!;
    const weight = x * taps.width;
    let sum = HALF;
    for (let tap = 0; tap < taps.count[x]!; tap++) sum += row[first + tap]! * taps.weights[weight + tap]!;
    out[x] = clampByte(sum >> TAP_POINT);
  }
}

function resampleColumns(rows: Uint8Array, top: number, width: number, taps: Taps, out: Uint8Array): void {
  const sums = new Int32Array(width);
  for (let y = 0; y < taps.first.length; y++) {
    sums.fill(HALF);
    for (let tap = 0; tap < taps.count[y]!; tap++) {
      const start = (taps.first[y]! - top + tap) * width;
      const weight = taps.weights[y * taps.width + tap]!;
      for (let x = 0; x < width; x++) sums[x] = sums[x]! + rows[start + x]! * weight;
    }
    for (let x = 0; x < width; x++) out[y * width + x] = clampByte(sums[x]! >> TAP_POINT);
  }
}

/** The rounded weights may sum to a little more than 1. */
function clampByte(value: number): number {
  return Math.min(value, 255);
}
