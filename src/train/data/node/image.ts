/** Decoding and scaling of JPEG, PNG and WebP images with `sharp`. */
import sharp from 'sharp';
import { InputError } from '../../../graph/errors.ts';
import { imageGeometry } from '../geometry.ts';
import type { Preprocess } from '../preprocess.ts';
import { readInput } from './files.ts';

export type ImageSpec = Pick<Preprocess, 'resize' | 'crop'>;
export interface Planar {
  channels: 1 | 3;
  width: number;
  height: number;
  /** Planes of width * height bytes: R, G, B, or one of grey. */
  data: Uint8Array;
}
export interface ImageInfo {
  width: number;
  height: number;
  grey: boolean;
}

export const IMAGE_NAME = /\.(jpe?g|png|webp)$/i;
const MAX_IMAGE_BYTES = 2 ** 28;
/** A header may claim any size; this many pixels (8192 x 8192) take 200 MB when decoded. */
const MAX_PIXELS = 2 ** 26;

/**
 * Colours as they are stored, like other tools do it for training: no colour profile, no rotation by EXIF, transparency
 * dropped. Warnings of the decoder (stray bytes between markers) are common in real data sets and harmless; data that
 * end too early are not.
 */
const DECODE = { failOn: 'error', ignoreIcc: true, limitInputPixels: MAX_PIXELS } as const;

/** Size and colour from the header alone. */
export async function imageInfo(file: string): Promise<ImageInfo> {
  return infoOf(file, await readImageFile(file));
}

async function readImageFile(file: string): Promise<Uint8Array> {
  const bytes = await readInput(file, MAX_IMAGE_BYTES);
  if (!isImage(bytes)) throw new InputError(`${file}: is not a JPEG, PNG or WebP image.`);
  return bytes;
}

/** By signature, because the decoder would also open formats that run code or read other files (SVG). */
function isImage(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  return (
    start.startsWith('\xff\xd8\xff') ||
    start.startsWith('\x89PNG\r\n\x1a\n') ||
    (start.startsWith('RIFF') && start.endsWith('WEBP'))
  );
}

async function infoOf(file: string, bytes: Uint8Array): Promise<ImageInfo> {
  const { width, height, space } = await decoding(file, () => sharp(bytes, DECODE).metadata());
  if (width * height > MAX_PIXELS) {
    throw new InputError(`${file}: the header claims ${width} x ${height} pixels, at most ${MAX_PIXELS} are decoded.`);
  }
  return { width, height, grey: space === 'b-w' || space === 'grey16' };
}

async function decoding<T>(file: string, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new InputError(`${file}: the image cannot be decoded (${reason}).`);
  }
}

/**
 * Decodes a file, resizes and crops it.
 * @param channels 3 turns grey into colour, 1 turns colour into grey (by the sRGB luminance)
 */
export async function loadImage(file: string, channels: 1 | 3, spec: ImageSpec): Promise<Planar> {
  const bytes = await readImageFile(file);
  const { width, height } = await infoOf(file, bytes);
  // Decoded at full size first: letting the decoder shrink (as sharp likes to do) changes the pixels.
  const { data, info } = await decoding(file, () =>
    sharp(bytes, DECODE)
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  if (info.channels !== channels || info.width !== width || info.height !== height) {
    throw new InputError(
      `${file}: decodes to ${info.width} x ${info.height} x ${info.channels}, not as its header says.`,
    );
  }
  return planar(await fitImage(file, { channels, width, height, data }, spec));
}

/** Resize and crop of interleaved pixels; the same object where neither is wanted. */
export async function fitImage(file: string, image: Planar, spec: ImageSpec): Promise<Planar> {
  const { width, height, channels, data } = image;
  const geometry = imageGeometry(width, height, spec);
  if (!geometry) {
    throw new InputError(
      `${file}: crop ${spec.crop} is larger than the image (${width} x ${height} before the resize).`,
    );
  }
  const { crop } = geometry;
  if (geometry.width === width && geometry.height === height && crop.width === width && crop.height === height) {
    return image;
  }
  let pipeline = sharp(data, { raw: { width, height, channels }, limitInputPixels: MAX_PIXELS });
  if (geometry.width !== width || geometry.height !== height) {
    // Linear interpolation, widened when shrinking (a triangle filter), as PIL's and torchvision's `bilinear`.
    pipeline = pipeline.resize({ width: geometry.width, height: geometry.height, fit: 'fill', kernel: 'linear' });
  }
  const resized = await decoding(file, () => pipeline.extract(crop).raw().toBuffer());
  return { channels, width: crop.width, height: crop.height, data: resized };
}

/** Interleaved to planar. */
function planar(image: Planar): Planar {
  const { channels, width, height, data } = image;
  if (channels === 1) return image;
  return { ...image, data: transposeBytes(data, width * height, channels) };
}

/** A rows x columns matrix of bytes turned into columns x rows. */
export function transposeBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const out = new Uint8Array(rows * columns);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) out[column * rows + row] = bytes[row * columns + column]!;
  }
  return out;
}
