import { InputError } from '../graph/errors.ts';

export type Drawable =
  | ImageBitmap
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | VideoFrame;

/** What `run` takes as an image. A plain object with RGBA bytes serves where there is no `ImageData`. */
export type ImageSource = Drawable | Pick<ImageData, 'data' | 'width' | 'height'>;

/** An input that takes images: where its sizes stand. */
export interface ImageInput {
  name: string;
  channels: 1 | 3;
  height: number;
  width: number;
  layout: 'nchw' | 'nhwc';
}

/** How an input of this shape takes images, or undefined. Flat inputs take square ones. */
export function imageInput(name: string, shape: readonly (number | string)[]): ImageInput | undefined {
  const [, a, b, c] = shape.map(Number) as [number, number, number, number];
  const known = (channels: number, height: number, width: number, layout: ImageInput['layout']) =>
    (channels === 1 || channels === 3) && height > 0 && width > 0
      ? { name, channels: channels as 1 | 3, height, width, layout }
      : undefined;
  if (shape.length === 4) return known(a, b, c, 'nchw') ?? known(c, a, b, 'nhwc');
  if (shape.length === 3) return known(1, a, b, 'nchw');
  if (shape.length !== 2) return undefined;
  const square = ([1, 3] as const).find((channels) => Number.isInteger(Math.sqrt(a / channels)));
  return square && known(square, Math.sqrt(a / square), Math.sqrt(a / square), 'nchw');
}

/** Whether it has an image's sizes. Inputs by name are no image, even where one is called `width`. */
export function isImageSource(value: unknown): value is ImageSource {
  const { width, displayWidth } = (value ?? {}) as Partial<ImageBitmap & VideoFrame>;
  return typeof (width ?? displayWidth) === 'number';
}

/** Its own pixels, not those of its box on the page. @throws InputError where there are none (yet) */
export function imageSize(source: ImageSource): { width: number; height: number } {
  const { videoWidth, naturalWidth, displayWidth } = source as Partial<
    HTMLVideoElement & HTMLImageElement & VideoFrame
  >;
  const { videoHeight, naturalHeight, displayHeight } = source as Partial<
    HTMLVideoElement & HTMLImageElement & VideoFrame
  >;
  const { width, height } = source as ImageBitmap;
  const size = {
    width: videoWidth ?? naturalWidth ?? displayWidth ?? width,
    height: videoHeight ?? naturalHeight ?? displayHeight ?? height,
  };
  if (!(size.width > 0 && size.height > 0)) {
    throw new InputError('An image has no pixels: it is not loaded yet, or closed');
  }
  return size;
}
