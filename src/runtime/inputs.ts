import { InputError } from '../graph/errors.ts';
import type { ValueInfo } from '../graph/types.ts';
import { type ImageInput, type ImageSource, imageInput, isImageSource } from './images.ts';

/** Numbers with their shape, for inputs with open dimensions besides the batch. */
export interface ShapedInput {
  data: Float32Array;
  shape: readonly number[];
}

/**
 * One input of `run`: row-major numbers for as many samples as they hold, or an image a sample. Numbers are the
 * network's own (normalised); images are resized and normalised as the file remembers.
 */
export type InputValue = Float32Array | ShapedInput | ImageSource | readonly ImageSource[];

/** An input whose shape is settled. */
export interface Feed {
  name: string;
  shape: number[];
  data?: Float32Array<ArrayBuffer>;
  images?: readonly ImageSource[];
  imageInput?: ImageInput;
}

/**
 * What `run` was given, held against the model's inputs.
 * @throws InputError naming the input
 */
export function readFeeds(
  inputs: readonly ValueInfo[],
  given: InputValue | Readonly<Record<string, InputValue>>,
): Feed[] {
  const names = inputs.map(({ name }) => name).join(', ');
  if (isValue(given)) {
    if (inputs.length !== 1) {
      throw new InputError(`The model has ${inputs.length} inputs, so run needs them by name: ${names}`);
    }
    return [readFeed(inputs[0]!, given)];
  }
  if (typeof given !== 'object' || given === null) {
    throw new InputError(`run takes numbers, an image, or an object with the inputs by name: ${names}`);
  }
  for (const name of Object.keys(given)) {
    if (!inputs.some((input) => input.name === name)) {
      throw new InputError(`The model has no input ${name}; it has ${names}`);
    }
  }
  return inputs.map((input) => {
    if (!Object.hasOwn(given, input.name)) throw new InputError(`Input ${input.name} is missing`);
    return readFeed(input, given[input.name]!);
  });
}

function isValue(given: unknown): given is InputValue {
  return given instanceof Float32Array || Array.isArray(given) || isImageSource(given) || isShaped(given);
}

function isShaped(given: unknown): given is ShapedInput {
  const { data, shape } = (given ?? {}) as Partial<ShapedInput>;
  return data instanceof Float32Array && Array.isArray(shape);
}

function readFeed({ name, shape }: ValueInfo, value: InputValue): Feed {
  if (isImageSource(value) || Array.isArray(value)) return imageFeed(name, shape, value as ImageSource);
  if (isShaped(value)) {
    const count = value.shape.reduce((product, length) => product * length, 1);
    if (!value.shape.every((length) => Number.isInteger(length) && length > 0) || count !== value.data.length) {
      throw new InputError(
        `Input ${name} has ${value.data.length} numbers, which are not [${value.shape.join(', ')}] of them`,
      );
    }
    return { name, shape: [...value.shape], data: value.data as Float32Array<ArrayBuffer> };
  }
  if (!(value instanceof Float32Array)) {
    throw new InputError(`Input ${name} must be a Float32Array or an image, not ${describeValue(value)}`);
  }
  const data = value as Float32Array<ArrayBuffer>;
  const [, ...rest] = shape ?? ['?', '?'];
  if (!rest.every((dim) => typeof dim === 'number')) {
    throw new InputError(
      `Input ${name} is [${shape?.join(', ') ?? 'of no known shape'}]: give { data, shape } with its lengths`,
    );
  }
  if (shape?.length === 0) return { name, shape: [], data };
  const each = (rest as number[]).reduce((product, length) => product * length, 1);
  const batch = data.length / each;
  if (!Number.isInteger(batch) || batch === 0) {
    throw new InputError(
      `Input ${name} takes ${each} numbers a sample (${rest.join('×')}), and ${data.length} are no whole number of samples`,
    );
  }
  return { name, shape: [batch, ...(rest as number[])], data };
}

function imageFeed(name: string, shape: ValueInfo['shape'], value: ImageSource | readonly ImageSource[]): Feed {
  const images: readonly ImageSource[] = Array.isArray(value) ? value : [value as ImageSource];
  const input = shape && imageInput(name, shape);
  if (!input || !shape) throw new InputError(`Input ${name} is [${shape?.join(', ') ?? ''}], which takes no images`);
  if (images.length === 0 || !images.every(isImageSource)) {
    throw new InputError(`Input ${name} takes a list of at least one image, each a canvas, bitmap, video or ImageData`);
  }
  return { name, shape: [images.length, ...(shape.slice(1) as number[])], images, imageInput: input };
}

function describeValue(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value);
  return (value as object).constructor?.name ?? 'an object';
}
