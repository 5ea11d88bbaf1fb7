import { InputError } from '../../graph/errors.ts';
import { centreCrop, type Geometry, resizedSize } from '../../kernels/imageGeometry.ts';
import type { Preprocess } from './preprocess.ts';

/** Pixels of one image, after decoding or after a resize; 8192 x 8192, 200 MB in colour. */
export const MAX_PIXELS = 2 ** 26;

export type { Geometry } from '../../kernels/imageGeometry.ts';

/**
 * Where an image of width x height ends up. The longer side after a resize of the shorter is rounded to the nearest
 * pixel, the corner of the centre crop down.
 * @param source what a message names
 * @throws InputError where the crop is larger than the image, or the result larger than can be handled
 */
export function imageGeometry(
  source: string,
  width: number,
  height: number,
  preprocess: Pick<Preprocess, 'resize' | 'crop'>,
): Geometry {
  const { resize, crop } = preprocess;
  const size = resizedSize(width, height, resize);
  if (crop !== undefined && (crop > size.width || crop > size.height)) {
    throw new InputError(`${source}: crop ${crop} is larger than the image, ${size.width} x ${size.height}.`);
  }
  const kept = crop === undefined ? size : { width: crop, height: crop };
  // Between the two passes of a resize an image has its old height and its new width.
  if (kept.width * Math.max(kept.height, height / 4) > MAX_PIXELS) {
    throw new InputError(
      `${source}: ${width} x ${height} pixels resized to ${size.width} x ${size.height} exceed ${MAX_PIXELS} pixels.`,
    );
  }
  return centreCrop(size, kept);
}

/** The size that every image ends up with, whatever it was; undefined where it depends on the image. */
export function fixedSize(
  preprocess: Pick<Preprocess, 'resize' | 'crop'>,
): { width: number; height: number } | undefined {
  const { resize, crop } = preprocess;
  if (crop !== undefined) return { width: crop, height: crop };
  return resize && 'width' in resize ? { ...resize } : undefined;
}
