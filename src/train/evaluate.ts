import { buildPlan } from '../engine/builder.ts';
import { recordForward } from '../engine/forward.ts';
import { adoptParameters, type InferenceOptions } from '../engine/inference.ts';
import { prepareGraph } from '../engine/prepare.ts';
import { loadOperators } from '../engine/registry.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import { LimitError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { Throttle } from '../gpu/throttle.ts';
import { InputError } from '../graph/errors.ts';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.ts';
import type { Graph } from '../graph/types.ts';
import { DynamicArgs } from '../kernels/dynamicArgs.ts';
import { withPrecision } from '../kernels/precision.ts';
import { METRICS, recordMetrics, recordMetricsShader } from '../kernels/recordMetrics.ts';
import { lossArgs, softmaxCrossEntropy, softmaxCrossEntropyShader } from '../kernels/softmaxCrossEntropy.ts';
import type { Dataset } from './data/dataset.ts';
import { labelOffsetFor, type Preprocess } from './data/preprocess.ts';
import { sequentialBatches } from './feed.ts';
import { checkedInput, recordInput } from './input.ts';
import { logitsGraph } from './logits.ts';

export interface EvaluateOptions {
  preprocess: Preprocess;
  /** Samples per replay. Default 100, or fewer where the data set or the adapter holds less. */
  batch?: number;
  /** Initializers on the GPU, as of `InferenceModel.compile`: the packed ones of a compressed file. */
  parameters?: InferenceOptions['parameters'];
  /** As of `InferenceModel.compile`. */
  precision?: InferenceOptions['precision'];
  onProgress?(done: number, total: number): void;
  signal?: AbortSignal | undefined;
}

export interface Evaluation {
  images: number;
  /** Fractions of the images. */
  top1: number;
  top5: number;
  /** Mean cross-entropy, nats. */
  loss: number;
  seconds: number;
  imagesPerSecond: number;
}

/** Accuracy and loss of a classifier over a whole data set; everything but the upload of pixels happens on the GPU. */
export async function evaluate(
  gpu: Gpu,
  source: Graph,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation> {
  if (dataset.size === 0) throw new InputError(`${dataset.name}: the ${dataset.split} split is empty`);
  if (options.batch !== undefined)
    return evaluateAt(gpu, source, dataset, options, Math.min(options.batch, dataset.size));
  // Large images exceed what some adapters bind at once; who chose no batch should not have to know.
  for (let batch = Math.min(100, dataset.size); ; batch = Math.ceil(batch / 4)) {
    try {
      return await evaluateAt(gpu, source, dataset, options, batch);
    } catch (error) {
      if (!(error instanceof LimitError) || batch === 1) throw error;
    }
  }
}

async function evaluateAt(
  gpu: Gpu,
  source: Graph,
  dataset: Dataset,
  options: EvaluateOptions,
  batch: number,
): Promise<Evaluation> {
  const { graph, shapes } = prepareGraph(foldBatchNorm(logitsGraph(source)), { batch });
  const input = checkedInput(graph, shapes, dataset, options.preprocess);
  const { classes, outputs } = matchClasses(graph, shapes, dataset, options.preprocess);
  const steps = Math.ceil(dataset.size / batch);
  const capabilities = withPrecision(gpu.capabilities, options.precision);
  await loadOperators({ graph, shapes, capabilities });
  const { compiled, parts } = await buildPlan(
    gpu,
    'evaluation',
    (builder) => {
      const store = adoptParameters(builder, graph, options.parameters);
      const { value, labels, write } = recordInput(builder, {
        graph,
        shape: shapes.get(input) as number[],
        format: dataset,
        preprocess: options.preprocess,
        augmented: false,
      });
      const inputs = new Map([[input, value]]);
      const { values } = recordForward({ builder, graph, shapes, store, inputs, training: false, inferenceOnly: true });
      const ring = builder.own([steps, METRICS], 'f32', 'metrics');
      const losses = builder.tensor([batch], 'f32', 'losses');
      const ranks = builder.tensor([batch], 'u32', 'ranks');
      const loss = builder.adopt(new DynamicArgs(gpu, softmaxCrossEntropyShader, lossArgs({ rows: batch, classes })));
      const slot = builder.adopt(new DynamicArgs(gpu, recordMetricsShader, { slot: 0, count: batch }));
      const logits = builder.view(values.get(outputs) as Value<'f32'>, [batch, classes]);
      softmaxCrossEntropy(builder, { logits, labels, losses, ranks, args: loss.slice });
      recordMetrics(builder, { losses, ranks, ring, args: slot.slice });
      return { write, loss, slot, ring: ring.storage.slice as BufferSlice };
    },
    { capabilities },
  );
  try {
    const throttle = new Throttle(gpu);
    const start = performance.now();
    let step = 0;
    let done = 0;
    for await (const next of sequentialBatches(dataset, batch, labelOffsetFor(options.preprocess, classes))) {
      options.signal?.throwIfAborted();
      parts.write(next);
      parts.loss.write(lossArgs({ rows: batch, classes, count: next.count }));
      parts.slot.write({ slot: step++, count: next.count });
      compiled.plan.replay();
      await throttle.pace();
      done += next.count;
      options.onProgress?.(done, dataset.size);
    }
    const metrics = await gpu.readFloats(parts.ring);
    const seconds = (performance.now() - start) / 1000;
    let loss = 0;
    let top1 = 0;
    let top5 = 0;
    for (let i = 0; i < steps; i++) {
      const [mean, first, five, count] = metrics.subarray(i * METRICS, (i + 1) * METRICS);
      loss += mean * count;
      top1 += first;
      top5 += five;
    }
    const images = dataset.size;
    return {
      images,
      top1: top1 / images,
      top5: top5 / images,
      loss: loss / images,
      seconds,
      imagesPerSecond: images / seconds,
    };
  } finally {
    compiled.dispose();
  }
}

/** The logits' name and length. @throws InputError where they cannot be the scores of the data's classes */
export function matchClasses(
  graph: Graph,
  shapes: ReadonlyMap<string, readonly number[]>,
  dataset: Pick<Dataset, 'name' | 'classes'>,
  preprocess: Preprocess,
): { outputs: string; classes: number } {
  const outputs = graph.outputs[0].name;
  const shape = shapes.get(outputs) as readonly number[];
  const classes = shape.slice(1).reduce((a, b) => a * b, 1);
  const offset = labelOffsetFor(preprocess, classes);
  if (shape.length < 2 || dataset.classes + offset > classes) {
    throw new InputError(
      `${dataset.name} has ${dataset.classes} classes${offset ? ` (labels from ${offset})` : ''}, but output ${outputs} of the model has the shape ${shape.join('×')}`,
    );
  }
  return { outputs, classes };
}

/** How many scores a model gives per sample. */
export function outputClasses(source: Graph): number {
  const { graph, shapes } = prepareGraph(logitsGraph(source), { batch: 1 });
  return (shapes.get(graph.outputs[0].name) as readonly number[]).slice(1).reduce((a, b) => a * b, 1);
}
