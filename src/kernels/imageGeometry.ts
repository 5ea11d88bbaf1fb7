/** Pixels along the longest side that an image may be resized or cropped to. */
export const MAX_IMAGE_SIDE = 8192;
/** What a byte of an image is multiplied with where nothing else is said: 0..255 becomes 0..1. */
export const PIXEL_SCALE = 1 / 255;

/** `shortSide` keeps the aspect ratio. */
export type Resize = { width: number; height: number } | { shortSide: number };

export interface Geometry {
  /** Size after the resize, before the crop. */
  width: number;
  height: number;
  /** Window that is kept; the whole image where there is no crop. */
  crop: { left: number; top: number; width: number; height: number };
}

/** Size after a resize. The longer side after one of the shorter is rounded to the nearest pixel. */
export function resizedSize(width: number, height: number, resize: Resize | undefined) {
  if (!resize) return { width, height };
  if ('width' in resize) return { width: resize.width, height: resize.height };
  const short = Math.min(width, height);
  const scaled = (side: number) => Math.round((side * resize.shortSide) / short);
  return { width: scaled(width), height: scaled(height) };
}

/** A window in the centre; its corner is rounded down. */
export function centreCrop(size: { width: number; height: number }, kept: { width: number; height: number }): Geometry {
  const left = Math.floor((size.width - kept.width) / 2);
  const top = Math.floor((size.height - kept.height) / 2);
  return { ...size, crop: { left, top, ...kept } };
}
