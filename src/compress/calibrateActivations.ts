import { type Builder, buildPlan } from '../engine/builder.ts';
import { recordForward } from '../engine/forward.ts';
import { ParameterStore } from '../engine/parameters.ts';
import { prepareGraph } from '../engine/prepare.ts';
import { loadOperators } from '../engine/registry.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { SEGMENT } from '../kernels/arena.ts';
import { quantizerLevels, quantizerStep } from '../kernels/fakeQuantize.ts';
import { lsqInitialScale } from '../kernels/lsqInitialScale.ts';
import { quantizationError } from '../kernels/quantizationError.ts';
import type { Dataset } from '../train/data/dataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import { TrainingFeed } from '../train/feed.ts';
import { checkedInput, recordInput } from '../train/input.ts';
import { logitsGraph } from '../train/logits.ts';
import type { QuantizedGraph } from './quantizeGraph.ts';

const BATCH = 64;
/** Steps that are tried, as powers of two beside LSQ's, which at 8 bits is up to four times the best. */
const EXPONENTS = { lowest: -5, highest: 1, each: 0.5 };
const LOWEST = 1e-8;

export interface ActivationCalibration {
  graph: Graph;
  activations: QuantizedGraph['activations'];
  dataset: Dataset;
  preprocess: Preprocess;
  /** Samples that go through the network before it is quantized. */
  samples: number;
  seed: number;
  onProgress?(done: number, total: number): void;
  signal?: AbortSignal | undefined;
}

/**
 * First scales of the activations' quantizers: of thirteen steps around LSQ's 2·mean|x|/√Qp (Esser et al. 2020, §2.1) the
 * one with the least squared error, of seven where steps are powers of two. Goes through the samples twice.
 */
export async function calibrateActivations(gpu: Gpu, options: ActivationCalibration): Promise<Map<string, Tensor>> {
  const { activations, onProgress } = options;
  const levels = activations.map(({ bits, signed }) => quantizerLevels(bits, signed, false));
  const around = await meanOverSamples(gpu, options, {
    results: 1,
    record: (builder, values, scales) =>
      values.forEach((x, i) => void lsqInitialScale(builder, { x, scale: scales[i]!, high: levels[i]!.high })),
    onProgress: (done, total) => onProgress?.(done, 2 * total),
  });
  const tried = activations.map(({ powerOfTwo }, i) => candidates(around[i]![0]!, powerOfTwo));
  const results = Math.max(...tried.map(({ length }) => length));
  const errors = await meanOverSamples(gpu, options, {
    results,
    record(builder, values, errorsOf) {
      const { slice, segments } = ownSegments(builder, values.length, results, 'steps');
      const numbers = new Float32Array(SEGMENT * values.length).fill(1);
      tried.forEach((steps, i) => void numbers.set(steps, SEGMENT * i));
      gpu.write(slice, numbers);
      values.forEach((x, i) => {
        quantizationError(builder, { x, steps: segments[i]!, out: errorsOf[i]!, ...levels[i]! });
      });
    },
    onProgress: (done, total) => onProgress?.(total + done, 2 * total),
  });
  return new Map(
    activations.map(({ scale }, i) => {
      const steps = tried[i]!;
      const best = steps.reduce((least, _, at) => (errors[i]![at]! < errors[i]![least]! ? at : least), 0);
      return [scale, floatTensor([1], [steps[best]!])];
    }),
  );
}

function candidates(around: number, powerOfTwo: boolean): Float32Array<ArrayBuffer> {
  const { lowest, highest } = EXPONENTS;
  const each = powerOfTwo ? 1 : EXPONENTS.each;
  const center = quantizerStep(Math.max(around, LOWEST), powerOfTwo);
  return Float32Array.from({ length: (highest - lowest) / each + 1 }, (_, i) => center * 2 ** (lowest + i * each));
}

interface Measurement {
  /** Numbers for each activation; at most SEGMENT. */
  results: number;
  /** Writes them for all activations. */
  record(builder: Builder, values: readonly Value<'f32'>[], results: readonly Value<'f32'>[]): void;
  onProgress(done: number, total: number): void;
}

/** What `record` measures of every activation, summed over the batches of the calibration samples and divided by them. */
async function meanOverSamples(
  gpu: Gpu,
  { activations, dataset, preprocess, samples, seed, signal, ...options }: ActivationCalibration,
  { results, record, onProgress }: Measurement,
): Promise<Float64Array[]> {
  const batch = Math.min(BATCH, dataset.size);
  const { graph, shapes } = prepareGraph(logitsGraph(options.graph), { batch });
  const inputName = checkedInput(graph, shapes, dataset, preprocess);
  await loadOperators({ graph, shapes, capabilities: gpu.capabilities });
  const { compiled, parts } = await buildPlan(gpu, 'calibration', (builder) => {
    const store = builder.adopt(new ParameterStore(gpu, graph));
    const shape = shapes.get(inputName) as number[];
    const input = recordInput(builder, { graph, shape, format: dataset, preprocess, augmented: false });
    const inputs = new Map([[inputName, input.value]]);
    const { values } = recordForward({ builder, graph, shapes, store, inputs, training: false });
    builder.context = 'calibration';
    // One buffer, so that a batch takes one read-back.
    const { slice, segments } = ownSegments(builder, activations.length, results, 'results');
    const quantized = activations.map(({ value }) => values.get(value) as Value<'f32'>);
    record(builder, quantized, segments);
    return { input, slice };
  });
  try {
    const feed = new TrainingFeed(dataset, { batch, seed });
    const batches = Math.max(1, Math.floor(Math.min(samples, dataset.size) / batch));
    const sums = activations.map(() => new Float64Array(results));
    for (let step = 0; step < batches; step++) {
      signal?.throwIfAborted();
      parts.input.write(await feed.at(step));
      compiled.plan.replay();
      const found = await gpu.readFloats(parts.slice);
      sums.forEach((sum, i) => {
        for (let r = 0; r < results; r++) sum[r]! += found[SEGMENT * i + r]! / batches;
      });
      onProgress((step + 1) * batch, batches * batch);
    }
    return sums;
  } finally {
    compiled.dispose();
  }
}

/** A few numbers for each activation in one buffer, each where a binding may begin. */
function ownSegments(builder: Builder, count: number, length: number, label: string) {
  const slice = builder.own([count, SEGMENT], 'f32', label).storage.slice as BufferSlice;
  const segments = Array.from({ length: count }, (_, i) =>
    builder.persistent({ buffer: slice.buffer, offset: 4 * SEGMENT * i, size: 4 * SEGMENT }, [length], 'f32', label),
  );
  return { slice, segments };
}
