import { resampleColumnsShader, resampleRowsShader } from './generated/image.ts';
import type { Geometry } from './imageGeometry.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spread } from './spread.ts';
import { type Taps, triangleTaps } from './triangleTaps.ts';

/** How an image becomes one sample: made by `planResample`, for `resampleImage`. */
export interface ResamplePlan {
  geometry: Geometry;
  /** Rows of the source that the window needs. */
  rows: { first: number; count: number };
  /** Per column (row) of the result: first pixel, number of weights, weights. */
  columns: Int32Array<ArrayBuffer>;
  lines: Int32Array<ArrayBuffer>;
}

/** Weights of both passes of a resize of a width x height image. */
export function planResample(width: number, height: number, geometry: Geometry): ResamplePlan {
  const { crop } = geometry;
  const across = triangleTaps(width, geometry.width, crop.left, crop.width);
  const down = triangleTaps(height, geometry.height, crop.top, crop.height);
  const first = down.first[0]!;
  const end = down.first[crop.height - 1]! + down.count[crop.height - 1]!;
  return { geometry, rows: { first, count: end - first }, columns: table(across), lines: table(down) };
}

function table({ first, count, weights, width }: Taps): Int32Array<ArrayBuffer> {
  const out = new Int32Array(first.length * (width + 2));
  for (let i = 0; i < first.length; i++) {
    out[i * (width + 2)] = first[i]!;
    out[i * (width + 2) + 1] = count[i]!;
    out.set(weights.subarray(i * width, (i + 1) * width), i * (width + 2) + 2);
  }
  return out;
}

export interface ResampleImageOptions {
  /** RGBA bytes, red lowest, `pitch` pixels to a row. */
  pixels: Operand<'u32'>;
  pitch: number;
  plan: ResamplePlan;
  /** The plan's tables on the GPU. */
  columns: Operand<'i32'>;
  lines: Operand<'i32'>;
  /** [3, C], from `foldNormalisation`. */
  affine: Operand<'f32'>;
  /** [C, height, width] of the window, or [height, width, C]. */
  out: Operand<'f32'>;
  /** 1: colours become their luminance; 3: r, g, b. */
  channels: 1 | 3;
  layout: 'nchw' | 'nhwc';
  /** b, g, r instead. */
  reverseChannels: boolean;
}

/** One RGBA image to one normalised sample: resized as Pillow's `bilinear` does it to the byte, cropped, normalised. */
export function resampleImage(recorder: Recorder, options: ResampleImageOptions): void {
  const { pixels, pitch, plan, columns, lines, affine, out, channels, layout } = options;
  const { width, height } = plan.geometry.crop;
  const perTable = (operand: Operand, entries: number) => operand.elements / entries - 2;
  const rows = recorder.temporary('u32', plan.rows.count * width, 'resized rows');
  const first = spread(recorder.capabilities, rows.elements);
  recorder.dispatch(resampleRowsShader, {
    operands: { pixels, columns, out: rows },
    args: {
      n: rows.elements,
      span: first.span,
      width,
      first_row: plan.rows.first,
      pitch,
      taps: perTable(columns, width),
    },
    tunables: { WG: first.wg, GREY: channels === 1 },
    workgroups: first.workgroups,
    label: 'resize rows',
  });
  const n = channels * width * height;
  if (out.elements < n) throw new Error(`resampleImage: ${out.elements} elements do not hold a sample of ${n}`);
  const second = spread(recorder.capabilities, n);
  recorder.dispatch(resampleColumnsShader, {
    operands: { rows, lines, affine, out },
    args: {
      n,
      span: second.span,
      channels,
      height,
      width,
      first_row: plan.rows.first,
      taps: perTable(lines, height),
      reverse: options.reverseChannels ? 1 : 0,
    },
    tunables: { WG: second.wg, NHWC: layout === 'nhwc' },
    workgroups: second.workgroups,
    label: 'resize columns',
  });
}
