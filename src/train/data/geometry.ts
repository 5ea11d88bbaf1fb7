import type { Preprocess } from './preprocess.ts';

export interface Geometry {
  /** Size after the resize, before the crop. */
  width: number;
  height: number;
  /** Window that is kept; the whole image where there is no crop. */
  crop: { left: number; top: number; width: number; height: number };
}

/**
 * Where an image of width x height ends up. The longer side after a resize of the shorter, and the corner of the centre
 * crop, are rounded down, as torchvision and integer arithmetic do.
 * @returns undefined where the crop is larger than the image
 */
export function imageGeometry(
  width: number,
  height: number,
  preprocess: Pick<Preprocess, 'resize' | 'crop'>,
): Geometry | undefined {
  const { resize, crop } = preprocess;
  let size = { width, height };
  if (resize && 'shortSide' in resize) {
    const short = Math.min(width, height);
    const scaled = (side: number) =>
      side === short ? resize.shortSide : Math.floor((side * resize.shortSide) / short);
    size = { width: scaled(width), height: scaled(height) };
  } else if (resize) {
    size = { width: resize.width, height: resize.height };
  }
  if (crop === undefined) return { ...size, crop: { left: 0, top: 0, ...size } };
  if (crop > size.width || crop > size.height) return undefined;
  const left = Math.floor((size.width - crop) / 2);
  const top = Math.floor((size.height - crop) / 2);
  return { ...size, crop: { left, top, width: crop, height: crop } };
}

/** The size that every image ends up with, whatever it was; undefined where it depends on the image. */
export function fixedSize(
  preprocess: Pick<Preprocess, 'resize' | 'crop'>,
): { width: number; height: number } | undefined {
  const { resize, crop } = preprocess;
  if (crop !== undefined) return { width: crop, height: crop };
  return resize && 'width' in resize ? { ...resize } : undefined;
}
