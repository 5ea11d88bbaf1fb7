/** The FILE of `wgslim run --input FILE` as the numbers that the network sees. */
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import { readInput } from '../train/data/node/files.ts';
import { loadImage } from '../train/data/node/image.ts';
import { parseNpy } from '../train/data/node/npz.ts';
import { normaliseOnHost } from '../train/data/normalise.ts';
import { checkChannels, type Preprocess } from '../train/data/preprocess.ts';
import { matchInput } from '../train/input.ts';
import { channelsOf } from './model.ts';

export interface RunInput {
  data: Float32Array<ArrayBuffer>;
  /** With the batch in front. */
  shape: number[];
}

/**
 * Images and arrays of bytes go through the preprocessing; an array of floats is the network's input itself, unless
 * options ask for more.
 * @param options.isAsked whether the user gave preprocessing options (a file's own do not count for floats)
 */
export async function readRunInput(
  file: string,
  graph: Graph,
  options: { preprocess: Preprocess; isAsked: boolean },
): Promise<RunInput> {
  const input = graph.inputs[0];
  if (!input || graph.inputs.length > 1) {
    throw new InputError(`The model has ${graph.inputs.length} inputs; wgslim run gives it one.`);
  }
  const bytes = await readInput(file);
  const isNpy = Buffer.from(bytes.subarray(0, 6)).toString('latin1') === '\x93NUMPY';
  if (!isNpy) {
    const wanted = Array.isArray(input.shape) ? input.shape.map((dim) => (typeof dim === 'number' ? dim : 0)) : [];
    const { preprocess } = options;
    const image = await loadImage(file, channelsOf(wanted) ?? 3, preprocess);
    return fromPixels(file, input, image.data, [image.channels, image.height, image.width], preprocess);
  }
  const { shape, data } = parseNpy(file, 'the array', bytes);
  if (data instanceof Uint8Array) return fromPixels(file, input, data, asSample(shape), options.preprocess);
  const floats = Float32Array.from(data as ArrayLike<number | bigint>, Number);
  if (options.isAsked) return fromPixels(file, input, floats, asSample(shape), options.preprocess);
  return { data: floats, shape: withBatch(file, input, shape) };
}

interface Input {
  name: string;
  shape?: (number | string)[];
}

/** [H, W] is an image with one channel; a batch of one is one sample. */
function asSample(shape: readonly number[]): number[] {
  if (shape.length === 4 && shape[0] === 1) return shape.slice(1);
  return shape.length === 2 ? [1, ...shape] : [...shape];
}

function fromPixels(
  file: string,
  input: Input,
  pixels: Uint8Array | Float32Array,
  sampleShape: readonly number[],
  preprocess: Preprocess,
): RunInput {
  checkChannels(preprocess, sampleShape.length === 3 ? sampleShape[0]! : 1, file);
  const shape = (input.shape ?? [1, ...sampleShape]).map((dim, axis) => (axis === 0 ? 1 : dim));
  // Lengths that the model leaves open are the sample's.
  const fixed = shape.map((dim, axis) =>
    typeof dim === 'number' ? dim : shape.length === sampleShape.length + 1 ? sampleShape[axis - 1]! : 0,
  );
  const { layout } = named(file, () => matchInput(input.name, fixed, { sampleShape }));
  const data = normaliseOnHost(pixels, sampleShape, preprocess, layout === 'nhwc' ? 'nhwc' : 'nchw');
  return { data: new Float32Array(data), shape: fixed };
}

/** An array without the batch dimension is one sample. */
function withBatch(file: string, input: Input, shape: number[]): number[] {
  const wanted = input.shape;
  if (!wanted) return shape;
  const full = shape.length === wanted.length - 1 ? [1, ...shape] : shape;
  const fits =
    full.length === wanted.length &&
    full.every(
      (length, axis) => length > 0 && (axis === 0 || typeof wanted[axis] === 'string' || wanted[axis] === length),
    );
  if (fits) return full;
  throw new InputError(`${file}: has the shape ${shape.join('×')}, but input ${input.name} takes ${wanted.join('×')}.`);
}

function named<T>(file: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw error instanceof InputError ? new InputError(`${file}: ${error.message}`) : error;
  }
}
