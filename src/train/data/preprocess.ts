/**
 * What happens to a raw pixel before the network sees it. The same description serves the command line, a JSON file and
 * the compressed file, which remembers it.
 */
import * as v from 'valibot';
import { InputError } from '../../graph/errors.ts';
import { MAX_IMAGE_SIDE, PIXEL_SCALE, type Resize } from '../../kernels/imageGeometry.ts';

export type { Resize } from '../../kernels/imageGeometry.ts';

export interface Preprocess {
  /** A pixel p in 0..255 becomes (p * scale - mean[c]) / std[c]. */
  scale: number;
  /** One number, or one per channel in the order that the model sees (B, G, R where `channels` is `bgr`). */
  mean: number[];
  std: number[];
  /** Order of the colours that the model sees; datasets always hold R, G, B. */
  channels: 'rgb' | 'bgr';
  resize?: Resize;
  /** Side of a square cut out of the centre, after the resize. */
  crop?: number;
  /**
   * Added to every label, for models with outputs before the first class: 1 for the 1001 outputs of an ImageNet model
   * whose output 0 means background. Absent: see `labelOffsetFor`.
   */
  labelOffset?: number;
}

const MAX_CHANNELS = 4096;

export function defaultPreprocess(kind: 'uint8' | 'float32' = 'uint8'): Preprocess {
  return { scale: kind === 'uint8' ? PIXEL_SCALE : 1, mean: [0], std: [1], channels: 'rgb' };
}

const side = v.pipe(
  v.number('must be a whole number of pixels'),
  v.integer('must be a whole number of pixels'),
  v.minValue(1, 'must be at least 1 pixel'),
  v.maxValue(MAX_IMAGE_SIDE, `must be at most ${MAX_IMAGE_SIDE} pixels`),
);
const finite = v.pipe(v.number('must be a number'), v.finite('must be a finite number'));
const nonZero = v.pipe(finite, v.notValue(0, 'must not be 0'));

function perChannel<S extends v.GenericSchema<unknown, number>>(value: S) {
  const list = v.pipe(
    v.array(value, 'must be a number or a list of numbers, one per channel'),
    v.minLength(1, 'must have at least one number'),
    v.maxLength(MAX_CHANNELS, `must have at most ${MAX_CHANNELS} numbers`),
  );
  return v.pipe(
    v.unknown(),
    v.transform((given) => (typeof given === 'number' ? [given] : given)),
    list,
  );
}

const SIZE_MESSAGE = 'must be N (shorter side) or WxH, or {"shortSide": N}, or {"width": W, "height": H}';
const resizeSchema = v.pipe(
  v.unknown(),
  v.transform((given) => (typeof given === 'number' || typeof given === 'string' ? parseResize(String(given)) : given)),
  v.union([v.strictObject({ shortSide: side }), v.strictObject({ width: side, height: side })], (issue) => {
    const inner = issue.issues?.find((one) => one.kind === 'validation');
    return inner ? inner.message : SIZE_MESSAGE;
  }),
);

const schema = v.strictObject(
  {
    scale: v.optional(nonZero),
    mean: v.optional(perChannel(finite)),
    std: v.optional(perChannel(nonZero)),
    channels: v.optional(v.picklist(['rgb', 'bgr'], 'must be "rgb" or "bgr"')),
    resize: v.optional(resizeSchema),
    crop: v.optional(side),
    labelOffset: v.optional(
      v.pipe(
        v.number('must be a whole number'),
        v.integer('must be a whole number'),
        v.minValue(0, 'must not be negative'),
        v.maxValue(MAX_CHANNELS, `must be at most ${MAX_CHANNELS}`),
      ),
    ),
  },
  (issue) => (issue.expected === 'never' ? 'is not a field of the preprocessing' : 'must be a JSON object'),
);

/** '256' is the shorter side, '256x224' width and height; anything else comes back as it is, to be refused. */
function parseResize(text: string): unknown {
  const both = /^(\d{1,9})x(\d{1,9})$/i.exec(text.trim());
  if (both) return { width: Number(both[1]), height: Number(both[2]) };
  return /^-?\d{1,9}$/.test(text.trim()) ? { shortSide: Number(text) } : text;
}

/**
 * Validates a description and fills in the defaults.
 * @param input fields of `Preprocess`, each optional; `mean` and `std` may be one number, `resize` N or 'WxH'
 * @param options.source what the message names: a file, or 'the options'
 * @param options.kind the scale's default is 1/255 for bytes, 1 for data that are floats already
 * @throws InputError naming source and field
 */
export function parsePreprocess(
  input: unknown,
  options: { source?: string; kind?: 'uint8' | 'float32' } = {},
): Preprocess {
  const source = options.source ?? 'preprocess';
  const result = v.safeParse(schema, Array.isArray(input) ? null : input);
  if (!result.success) {
    const issue = result.issues[0];
    const path = v.getDotPath(issue);
    throw new InputError(path ? `${source}: ${path} ${issue.message}.` : `${source}: ${issue.message}.`);
  }
  const { mean, std, resize, crop, labelOffset, ...rest } = result.output;
  const defaults = defaultPreprocess(options.kind);
  const lengths = [mean, std].flatMap((list) => (list && list.length > 1 ? [list.length] : []));
  if (lengths.length === 2 && lengths[0] !== lengths[1]) {
    throw new InputError(
      `${source}: mean has ${lengths[0]} numbers and std ${lengths[1]}: give one per channel in both.`,
    );
  }
  return {
    scale: rest.scale ?? defaults.scale,
    mean: mean ?? defaults.mean,
    std: std ?? defaults.std,
    channels: rest.channels ?? defaults.channels,
    ...(resize && { resize }),
    ...(crop !== undefined && { crop }),
    ...(labelOffset !== undefined && { labelOffset }),
  };
}

/** The inverse of `parsePreprocess`: what a compressed file or `--preprocess FILE.json` holds. */
export function preprocessToJson(preprocess: Preprocess): Record<string, unknown> {
  return { ...preprocess, mean: [...preprocess.mean], std: [...preprocess.std] };
}

/** The number for channel `channel` out of a list with one number or one per channel. */
export function ofChannel(list: readonly number[], channel: number): number {
  return list.length === 1 ? list[0]! : list[channel]!;
}

/** @throws InputError where mean, std or the order of the colours do not suit samples of `channels` channels */
export function checkChannels(preprocess: Preprocess, channels: number, source: string): void {
  for (const field of ['mean', 'std'] as const) {
    const { length } = preprocess[field];
    if (length !== 1 && length !== channels) {
      throw new InputError(`${source}: ${field} has ${length} numbers, but a sample has ${channels} channel(s).`);
    }
  }
  if (preprocess.channels === 'bgr' && channels !== 3) {
    throw new InputError(`${source}: channels is "bgr", but a sample has ${channels} channel(s), not 3.`);
  }
}

/**
 * What to add to labels for a model with `outputs` outputs: the description's own offset, else 1 for the 1001 outputs
 * by which TensorFlow's ImageNet models are known (0 = background), else 0.
 */
export function labelOffsetFor(preprocess: Pick<Preprocess, 'labelOffset'>, outputs: number): number {
  return preprocess.labelOffset ?? (outputs === 1001 ? 1 : 0);
}
