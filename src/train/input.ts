import type { Builder } from '../engine/builder.ts';
import { elementsOf, type Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import { foldNormalisation, prepareBatch } from '../kernels/prepareBatch.ts';
import type { Dataset } from './data/dataset.ts';
import { sampleLength } from './data/dataset.ts';
import { checkChannels, type Preprocess } from './data/preprocess.ts';
import type { Batch } from './feed.ts';

/** What of a data set a plan depends on. */
export type SampleFormat = Pick<Dataset, 'kind' | 'sampleShape'>;

/** Where a batch of raw samples enters a plan: the upload buffers, and the normalised tensor made from them. */
export interface BatchInput {
  /** The model's input. */
  readonly value: Value<'f32'>;
  readonly labels: Value<'u32'>;
  /** Queues the upload of a batch for the next replay. */
  write(batch: Batch): void;
}

/**
 * Records the preparation of a batch for a graph's only input: normalised, moved, and in the layout that the input's
 * shape asks for (NCHW, NHWC or flat).
 */
export function recordInput(
  builder: Builder,
  options: {
    graph: Graph;
    shape: readonly number[];
    format: SampleFormat;
    preprocess: Preprocess;
    augmented: boolean;
  },
): BatchInput {
  const { graph, shape, format, preprocess, augmented } = options;
  const { gpu } = builder;
  const batch = shape[0];
  const { channels, height, width, layout } = matchInput(graph.inputs[0].name, shape, format);
  const length = sampleLength(format.sampleShape);
  const isBytes = format.kind === 'uint8';
  builder.context = 'input';
  const scalars = isBytes ? Math.ceil((batch * length) / 4) : batch * length;
  const pixels = isBytes ? builder.own([scalars], 'u32', 'pixels') : builder.own([scalars], 'f32', 'samples');
  const labels = builder.own([batch], 'u32', 'labels');
  const moves = augmented ? builder.own([batch, 4], 'i32', 'augmentation') : undefined;
  const affine = builder.own([3, channels], 'f32', 'normalisation');
  gpu.write(affine.storage.slice as BufferSlice, foldNormalisation(channels, preprocess));
  const value = builder.tensor(shape, 'f32', 'input');
  prepareBatch(builder, {
    pixels,
    affine,
    out: value,
    samples: batch,
    channels,
    height,
    width,
    layout,
    reverseChannels: preprocess.channels === 'bgr',
    ...(moves && { augment: moves }),
  });
  builder.context = '';
  return {
    value,
    labels,
    write(next) {
      gpu.write(pixels.storage.slice as BufferSlice, next.samples as Uint8Array<ArrayBuffer>);
      gpu.write(labels.storage.slice as BufferSlice, next.labels as Uint32Array<ArrayBuffer>);
      if (moves) gpu.write(moves.storage.slice as BufferSlice, next.moves as Int32Array<ArrayBuffer>);
    },
  };
}

interface MatchedInput {
  channels: number;
  height: number;
  width: number;
  layout: 'nchw' | 'nhwc' | 'flat';
}

/** How samples fit a model's input. @throws InputError where they do not, with both shapes */
export function matchInput(
  name: string,
  shape: readonly number[],
  { sampleShape }: Pick<SampleFormat, 'sampleShape'>,
): MatchedInput {
  const [channels, height, width] = sampleShape.length === 3 ? sampleShape : [1, 1, sampleLength(sampleShape)];
  const rest = shape.slice(1);
  const same = (other: readonly number[]) =>
    rest.length === other.length && rest.every((length, i) => length === other[i]);
  if (sampleShape.length === 3 && same([channels, height, width])) return { channels, height, width, layout: 'nchw' };
  if (sampleShape.length === 3 && same([height, width, channels])) return { channels, height, width, layout: 'nhwc' };
  // Grey images often come without a dimension for their only channel.
  if (channels === 1 && same([height, width])) return { channels, height, width, layout: 'nchw' };
  const isFlat = rest.length === 1 || rest.filter((length) => length !== 1).length <= 1;
  if ((isFlat || same(sampleShape)) && elementsOf(rest) === sampleLength(sampleShape)) {
    return { channels, height, width, layout: 'flat' };
  }
  throw new InputError(
    `Input ${name} of the model takes ${rest.join('×')} per sample, but the data has ${sampleShape.join('×')}: see --resize and --crop`,
  );
}

/**
 * The name of the graph's only input, after a check that samples fit it: done before anything is put on the GPU.
 * @throws InputError
 */
export function checkedInput(
  graph: Graph,
  shapes: ReadonlyMap<string, readonly number[]>,
  format: SampleFormat & Pick<Dataset, 'name'>,
  preprocess: Preprocess,
): string {
  const name = onlyInput(graph);
  matchInput(name, shapes.get(name) as readonly number[], format);
  if (format.sampleShape.length === 3) checkChannels(preprocess, format.sampleShape[0]!, format.name);
  return name;
}

/** The name of the graph's only input. */
export function onlyInput(graph: Graph): string {
  if (graph.inputs.length !== 1) {
    throw new InputError(
      `The model has ${graph.inputs.length} inputs (${graph.inputs.map(({ name }) => name).join(', ')}); a classifier has one`,
    );
  }
  return graph.inputs[0].name;
}
