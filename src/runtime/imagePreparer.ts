import type { ModelMeta } from '../format/meta.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import { LimitError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Plan } from '../gpu/plan.ts';
import { InputError } from '../graph/errors.ts';
import { type BufferOperand, DirectRecorder } from '../kernels/direct.ts';
import { foldNormalisation } from '../kernels/prepareBatch.ts';
import { planResample, resampleImage } from '../kernels/resampleImage.ts';
import { type Drawable, type ImageInput, type ImageSource, imageSize } from './images.ts';
import { type ImagePreprocess, inputGeometry, readPreprocess } from './preprocess.ts';

/** Plans for this many sizes of images are kept. */
const EVERY_SIZE = 8;

interface Prepared {
  plan: Plan;
  recorder: DirectRecorder;
  pixels: BufferOperand<'u32'>;
  sample: BufferOperand<'f32'>;
  /** Bytes from one row of pixels to the next: copies between textures and buffers want multiples of 256. */
  rowBytes: number;
  texture: GPUTexture | undefined;
}

// WebGPU's names for these flags are globals that need not exist yet.
const TEXTURE = { COPY_SRC: 1, COPY_DST: 2, RENDER_ATTACHMENT: 16 } as const;

/** @throws InputError where the file's preprocessing cannot be read */
export function makeImagePreparer(gpu: Gpu, input: ImageInput, meta: ModelMeta): ImagePreparer {
  return new ImagePreparer(gpu, input, readPreprocess(meta.preprocess, input.channels));
}

/** Makes samples of images: resized, cropped and normalised on the GPU as the file remembers. */
export class ImagePreparer {
  readonly #gpu: Gpu;
  readonly #input: ImageInput;
  readonly #preprocess: ImagePreprocess;
  /** By size of the image, the one used last at the end. */
  readonly #prepared = new Map<string, Prepared>();

  constructor(gpu: Gpu, input: ImageInput, preprocess: ImagePreprocess) {
    this.#gpu = gpu;
    this.#input = input;
    this.#preprocess = preprocess;
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    let bytes = 0;
    for (const { recorder, texture } of this.#prepared.values()) {
      bytes += recorder.bytes + (texture ? 4 * texture.width * texture.height : 0);
    }
    return bytes;
  }

  /**
   * Queues what turns an image into `target`, a sample of the input. The image's pixels are taken before this returns,
   * but for the first of its size, whose shaders are compiled first.
   */
  async write(source: ImageSource, target: BufferSlice): Promise<void> {
    const { width, height } = imageSize(source);
    const prepared = await this.#prepare(width, height);
    this.#upload(source, width, height, prepared);
    prepared.plan.replay();
    const { device } = this.#gpu;
    const encoder = device.createCommandEncoder({ label: 'image' });
    const { buffer, offset } = prepared.sample.slice;
    encoder.copyBufferToBuffer(buffer, offset, target.buffer, target.offset, prepared.sample.elements * 4);
    device.queue.submit([encoder.finish()]);
  }

  async #prepare(width: number, height: number): Promise<Prepared> {
    const key = `${width}x${height}`;
    const known = this.#prepared.get(key);
    if (known) {
      this.#prepared.delete(key);
      this.#prepared.set(key, known);
      return known;
    }
    const made = await this.#compile(width, height);
    this.#prepared.set(key, made);
    for (const [oldest, { recorder, plan, texture }] of this.#prepared) {
      if (this.#prepared.size <= EVERY_SIZE) break;
      plan.dispose();
      recorder.dispose();
      texture?.destroy();
      this.#prepared.delete(oldest);
    }
    return made;
  }

  async #compile(width: number, height: number): Promise<Prepared> {
    const { capabilities } = this.#gpu;
    const { name, channels, layout } = this.#input;
    const geometry = inputGeometry({ width, height }, this.#preprocess, this.#input);
    const rowBytes = Math.ceil((4 * width) / 256) * 256;
    if (rowBytes * height > Math.min(capabilities.maxBindingBytes, capabilities.maxBufferBytes)) {
      throw new LimitError(
        `An image of ${width} × ${height} pixels is larger than this adapter takes at once: give input ${name} a smaller one`,
      );
    }
    const recorder = new DirectRecorder(this.#gpu);
    try {
      const plan = planResample(width, height, geometry);
      const pixels = recorder.temporary('u32', (rowBytes / 4) * height, 'pixels');
      const sample = recorder.temporary('f32', channels * this.#input.width * this.#input.height, 'sample');
      resampleImage(recorder, {
        pixels,
        pitch: rowBytes / 4,
        plan,
        columns: recorder.upload('i32', plan.columns, 'columns'),
        lines: recorder.upload('i32', plan.lines, 'lines'),
        affine: recorder.upload('f32', foldNormalisation(channels, this.#preprocess), 'normalisation'),
        out: sample,
        channels,
        layout,
        reverseChannels: this.#preprocess.channels === 'bgr',
      });
      return { plan: await recorder.compile('image'), recorder, pixels, sample, rowBytes, texture: undefined };
    } catch (error) {
      recorder.dispose();
      throw error;
    }
  }

  #upload(source: ImageSource, width: number, height: number, prepared: Prepared): void {
    const { device } = this.#gpu;
    const { pixels, rowBytes } = prepared;
    if ('data' in source) {
      const { data } = source;
      if (data.length !== 4 * width * height) {
        throw new InputError(
          `An image of ${width} × ${height} pixels has ${data.length} bytes instead of four a pixel`,
        );
      }
      this.#writePixels(data as Uint8ClampedArray, width, height, prepared);
      return;
    }
    const limit = device.limits.maxTextureDimension2D;
    if (width > limit || height > limit) {
      throw new LimitError(
        `An image of ${width} × ${height} pixels has a side of more than this adapter's ${limit}: scale it down`,
      );
    }
    prepared.texture ??= device.createTexture({
      label: 'image',
      size: [width, height],
      format: 'rgba8unorm',
      usage: TEXTURE.COPY_SRC | TEXTURE.COPY_DST | TEXTURE.RENDER_ATTACHMENT,
    });
    const { texture } = prepared;
    try {
      // Colours as they are, not multiplied by alpha, as the command line reads files.
      const to = { texture, colorSpace: 'srgb', premultipliedAlpha: false } as const;
      device.queue.copyExternalImageToTexture({ source: source as ImageBitmap }, to, [width, height]);
    } catch (error) {
      // Not every browser copies every source (frames of videos without a GPU, say); a canvas takes them all.
      this.#writePixels(drawnPixels(source, width, height, error as Error), width, height, prepared);
      return;
    }
    const encoder = device.createCommandEncoder({ label: 'image' });
    const buffer = { buffer: pixels.slice.buffer, offset: pixels.slice.offset, bytesPerRow: rowBytes };
    encoder.copyTextureToBuffer({ texture }, buffer, [width, height]);
    device.queue.submit([encoder.finish()]);
  }

  #writePixels(data: Uint8ClampedArray, width: number, height: number, { pixels, rowBytes }: Prepared): void {
    const rows = new Uint8Array(rowBytes * height);
    for (let y = 0; y < height; y++) rows.set(data.subarray(4 * width * y, 4 * width * (y + 1)), rowBytes * y);
    this.#gpu.write(pixels.slice, rows);
  }

  dispose(): void {
    for (const { plan, recorder, texture } of this.#prepared.values()) {
      plan.dispose();
      recorder.dispose();
      texture?.destroy();
    }
    this.#prepared.clear();
  }
}

/** Pixels by way of a 2D canvas. @throws InputError with the reason of the first way where this one fails too */
function drawnPixels(source: Drawable, width: number, height: number, reason: Error): Uint8ClampedArray {
  try {
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!context) throw reason;
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  } catch {
    throw new InputError(`An image cannot be read (${reason.message})`);
  }
}
