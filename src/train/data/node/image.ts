/** Decoding of JPEG, PNG and WebP images with `sharp`. */
import sharp from 'sharp';
import { InputError } from '../../../graph/errors.ts';
import { imageGeometry, MAX_PIXELS } from '../geometry.ts';
import type { Preprocess } from '../preprocess.ts';
import { resample } from '../resample.ts';
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
  const geometry = imageGeometry(file, width, height, spec);
  // Decoded at full size: letting the decoder shrink (as sharp likes to do) changes the pixels.
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
  const planes = toPlanes(data, channels);
  return {
    channels,
    width: geometry.crop.width,
    height: geometry.crop.height,
    data: resample(planes, width, height, geometry),
  };
}

/** Interleaved pixels turned into one plane per channel. */
function toPlanes(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels;
  const plane = pixels.length / channels;
  const out = new Uint8Array(pixels.length);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < plane; i++) out[c * plane + i] = pixels[i * channels + c]!;
  }
  return out;
}
