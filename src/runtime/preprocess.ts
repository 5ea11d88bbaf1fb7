import { InputError } from '../graph/errors.ts';
import {
  centreCrop,
  type Geometry,
  MAX_IMAGE_SIDE,
  PIXEL_SCALE,
  type Resize,
  resizedSize,
} from '../kernels/imageGeometry.ts';

/** What a file remembers of how an image becomes its input; the fields of the command line's `--preprocess`. */
export interface ImagePreprocess {
  /** A pixel p in 0..255 becomes (p·scale − mean[c]) / std[c]. */
  scale: number;
  /** One number, or one per channel in the order that the model sees. */
  mean: readonly number[];
  std: readonly number[];
  channels: 'rgb' | 'bgr';
  resize: Resize | undefined;
  /** Side of a centred square, after the resize. */
  crop: number | undefined;
}

/** Reads the `preprocess` of a file's meta; absent fields have the command line's defaults. @throws InputError */
export function readPreprocess(json: unknown, channels: number): ImagePreprocess {
  const fields = (json ?? {}) as Record<string, unknown>;
  const wrong = (field: string, what: string) => new InputError(`The file's preprocess: ${field} ${what}`);
  if (typeof fields !== 'object' || Array.isArray(fields)) throw wrong('it', 'is not an object');
  const isSide = (value: unknown): value is number =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_IMAGE_SIDE;
  const list = (field: 'mean' | 'std', absent: number): number[] => {
    const given = fields[field] ?? absent;
    const numbers: unknown[] = Array.isArray(given) ? given : [given];
    const suits = numbers.length === 1 || numbers.length === channels;
    const isUsable = (n: unknown) => typeof n === 'number' && Number.isFinite(n) && (field === 'mean' || n !== 0);
    if (!suits || !numbers.every(isUsable)) throw wrong(field, `is not one number, or ${channels} of them`);
    return numbers as number[];
  };
  const { scale = PIXEL_SCALE, channels: order = 'rgb', crop, resize } = fields;
  if (typeof scale !== 'number' || !Number.isFinite(scale) || scale === 0) throw wrong('scale', 'is not a number');
  if (order !== 'rgb' && order !== 'bgr') throw wrong('channels', 'is neither rgb nor bgr');
  if (order === 'bgr' && channels !== 3) throw wrong('channels', `is bgr, but the model takes ${channels} channel(s)`);
  if (crop !== undefined && !isSide(crop)) throw wrong('crop', `is not a whole number from 1 to ${MAX_IMAGE_SIDE}`);
  const size = (resize ?? undefined) as Record<string, unknown> | undefined;
  const isSize = !size || isSide(size.shortSide) || (isSide(size.width) && isSide(size.height));
  if (!isSize) throw wrong('resize', `is neither {shortSide} nor {width, height} of 1 to ${MAX_IMAGE_SIDE} pixels`);
  return {
    scale,
    mean: list('mean', 0),
    std: list('std', 1),
    channels: order,
    resize: size as Resize | undefined,
    crop: crop as number | undefined,
  };
}

/**
 * How an image becomes the input's height and width. Without a resize and a crop of the file's own it is stretched to
 * them.
 * @throws InputError where the file's resize and crop make another size
 */
export function inputGeometry(
  image: { width: number; height: number },
  { resize, crop }: Pick<ImagePreprocess, 'resize' | 'crop'>,
  input: { name: string; width: number; height: number },
): Geometry {
  const target = { width: input.width, height: input.height };
  const size = resize || crop !== undefined ? resizedSize(image.width, image.height, resize) : target;
  const kept = crop === undefined ? size : { width: crop, height: crop };
  if (kept.width > size.width || kept.height > size.height) {
    throw new InputError(
      `An image of ${image.width} × ${image.height} pixels is smaller than the model's crop, ${crop}`,
    );
  }
  if (kept.width !== target.width || kept.height !== target.height) {
    throw new InputError(
      `An image of ${image.width} × ${image.height} pixels becomes ${kept.width} × ${kept.height} by the file's resize and crop, but input ${input.name} takes ${target.width} × ${target.height}`,
    );
  }
  return centreCrop(size, kept);
}
