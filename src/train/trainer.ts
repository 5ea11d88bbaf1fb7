import { recordBackward } from '../engine/backward.ts';
import { type Builder, buildPlan, type CompiledPlan } from '../engine/builder.ts';
import { recordForward } from '../engine/forward.ts';
import { ParameterStore } from '../engine/parameters.ts';
import { prepareGraph } from '../engine/prepare.ts';
import { loadOperators } from '../engine/registry.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { accumulateImportance, type ImportanceKind } from '../kernels/accumulateImportance.ts';
import { DynamicArgs } from '../kernels/dynamicArgs.ts';
import { METRICS, recordMetrics, recordMetricsShader } from '../kernels/recordMetrics.ts';
import { distillation, softmaxCrossEntropy } from '../kernels/softmaxCrossEntropy.ts';
import type { Dataset } from './data/dataset.ts';
import type { Preprocess } from './data/preprocess.ts';
import { matchClasses } from './evaluate.ts';
import type { Batch } from './feed.ts';
import { type BatchInput, checkedInput, onlyInput, recordInput, type SampleFormat } from './input.ts';
import { logitsGraph } from './logits.ts';
import { packMasks, unpackMasks } from './masks.ts';
import { Optimizer, type OptimizerConfig } from './optimizer.ts';

export interface TrainerOptions {
  graph: Graph;
  batch: number;
  format: SampleFormat & Pick<Dataset, 'name' | 'classes'>;
  preprocess: Preprocess;
  augmented: boolean;
  /** Batch statistics in BatchNormalization, kept up for evaluation; or the running ones as they are. */
  batchNorm: 'train' | 'frozen';
  labelSmoothing: number;
  /** Absent: gradients only (calibration). */
  optimizer?: OptimizerConfig;
  /** By weight: one byte per element, 0 where it is pruned and stays so. */
  masks?: ReadonlyMap<string, Uint8Array>;
  /** A network whose softened outputs are part of the loss (Hinton et al. 2015). It is not trained. */
  teacher?: { graph: Graph; temperature: number; alpha: number };
  /** Accumulates this importance of every weight over the steps. */
  importance?: Exclude<ImportanceKind, 'magnitude'> | undefined;
}

export interface StepMetrics {
  step: number;
  loss: number;
  /** Fraction of the batch that was classified right before the update. */
  top1: number;
}

/** Steps whose metrics the GPU keeps until they are read. */
const RING = 64;

/**
 * A network in training: its weights and optimizer on the GPU, and one plan that makes a batch from pixels, goes
 * forward (the teacher too), backward, and updates. A step uploads the batch and replays the plan; it allocates nothing
 * and reads nothing back.
 */
export class Trainer {
  readonly gpu: Gpu;
  readonly store: ParameterStore;
  /** Bits over the weights' arena; 0 prunes. */
  readonly mask: BufferSlice;
  readonly gradients: BufferSlice;
  /** Accumulated importance, as long as the weights' arena. */
  readonly scores: BufferSlice | undefined;
  readonly #options: TrainerOptions;
  readonly #compiled: CompiledPlan;
  readonly #input: BatchInput;
  readonly #optimizer: Optimizer | undefined;
  readonly #ring: BufferSlice;
  readonly #slot: DynamicArgs<typeof recordMetricsShader>;
  #unread: number[] = [];

  private constructor(gpu: Gpu, options: TrainerOptions, compiled: CompiledPlan, parts: StepParts) {
    this.gpu = gpu;
    this.store = parts.store;
    this.mask = parts.mask;
    this.gradients = parts.gradients;
    this.scores = parts.scores;
    this.#options = options;
    this.#compiled = compiled;
    this.#input = parts.input;
    this.#optimizer = parts.optimizer;
    this.#ring = parts.ring;
    this.#slot = parts.slot;
  }

  static async create(gpu: Gpu, options: TrainerOptions): Promise<Trainer> {
    const { graph, shapes } = prepareGraph(logitsGraph(options.graph), { batch: options.batch });
    checkedInput(graph, shapes, options.format, options.preprocess);
    matchClasses(graph, shapes, options.format, options.preprocess);
    const { capabilities } = gpu;
    await loadOperators({ graph, shapes, capabilities });
    const teacher = options.teacher && prepareTeacher(options.teacher.graph, options.batch);
    if (teacher) await loadOperators({ ...teacher, capabilities });
    const { compiled, parts } = await buildPlan(gpu, 'training step', (builder) =>
      recordStep(builder, { graph, shapes }, teacher, options),
    );
    return new Trainer(gpu, options, compiled, parts);
  }

  get plan() {
    return this.#compiled.plan;
  }

  /** Bytes of the plan's temporaries, and what they would take without sharing memory. */
  get memory() {
    return this.#compiled.memory;
  }

  /** For `liveBytes`. */
  get compiled() {
    return this.#compiled;
  }

  /** Queues one step. At most 64 steps may pass between two calls of `readMetrics`, or the oldest are lost. */
  step(batch: Batch, step: number, learningRate: number): void {
    this.prepare(batch, step, learningRate);
    this.#compiled.plan.replay();
    this.#unread.push(step);
    if (this.#unread.length > RING) this.#unread.shift();
  }

  /** The part of a step before its plan: what it uploads. For those who replay the plan on their own, to measure it. */
  prepare(batch: Batch, step: number, learningRate: number): void {
    this.#input.write(batch);
    this.#slot.write({ slot: step % RING, count: this.#options.batch });
    this.#optimizer?.prepare(step, learningRate);
  }

  /** Whether the metrics should be read before the next step. */
  get isFull(): boolean {
    return this.#unread.length >= RING;
  }

  /** Results of the steps since the last call, in order. Waits for the GPU. */
  async readMetrics(): Promise<StepMetrics[]> {
    if (this.#unread.length === 0) return [];
    const ring = await this.gpu.readFloats(this.#ring);
    const metrics = this.#unread.map((step) => {
      const [loss, first, , count] = ring.subarray((step % RING) * METRICS);
      return { step, loss, top1: first / count };
    });
    this.#unread = [];
    return metrics;
  }

  /** Everything that steps change, by name: what a checkpoint holds. */
  get buffers(): Map<string, BufferSlice> {
    const buffers = new Map<string, BufferSlice>([['mask', this.mask], ...(this.#optimizer?.moments ?? [])]);
    for (const kind of ['weights', 'state'] as const) {
      if (this.store.elements(kind) > 0) buffers.set(kind, this.store.arena(kind));
    }
    if (this.scores) buffers.set('importance', this.scores);
    return buffers;
  }

  async save(): Promise<Map<string, Uint8Array>> {
    const saved = new Map<string, Uint8Array>();
    for (const [name, slice] of this.buffers) saved.set(name, new Uint8Array(await this.gpu.read(slice)));
    return saved;
  }

  /** @throws InputError, before anything is written, where a buffer is missing or has another size */
  restore(saved: ReadonlyMap<string, Uint8Array>): void {
    const writes = [...this.buffers].map(([name, slice]) => {
      const bytes = saved.get(name);
      if (bytes?.length !== slice.size) {
        throw new InputError(`The checkpoint holds ${bytes?.length ?? 'no'} bytes of ${name}, not ${slice.size}`);
      }
      return { slice, bytes: bytes.slice() };
    });
    for (const { slice, bytes } of writes) this.gpu.write(slice, bytes);
  }

  /** The trained weights by name, and the masks of those that are pruned. */
  async download(): Promise<{ tensors: Map<string, Tensor>; masks: Map<string, Uint8Array> }> {
    const tensors = await this.store.download();
    const bits = new Uint32Array(await this.gpu.read(this.mask));
    return { tensors, masks: unpackMasks(this.store, bits, this.#options.masks?.keys()) };
  }

  dispose(): void {
    this.#compiled.dispose();
  }
}

type PreparedGraph = ReturnType<typeof prepareGraph>;

type StepParts = ReturnType<typeof recordStep>;

/** Records one training step: batch, forward, loss, backward, update. The builder owns all that it makes. */
function recordStep(
  builder: Builder,
  { graph, shapes }: PreparedGraph,
  preparedTeacher: PreparedGraph | undefined,
  options: TrainerOptions,
) {
  const { gpu } = builder;
  const { batch, format, preprocess, augmented } = options;
  const inputName = onlyInput(graph);
  const outputs = graph.outputs[0].name;
  const store = builder.adopt(new ParameterStore(gpu, graph));
  const shape = shapes.get(inputName) as readonly number[];
  const input = recordInput(builder, { graph, shape, format, preprocess, augmented });
  const inputs = new Map([[inputName, input.value]]);
  const teacher = preparedTeacher && recordTeacher(builder, preparedTeacher, input.value);
  const tape = recordForward({ builder, graph, shapes, store, inputs, training: options.batchNorm === 'train' });
  const logits = tape.values.get(outputs) as Value<'f32'>;

  builder.context = 'loss';
  const losses = builder.tensor([batch], 'f32', 'losses');
  const ranks = builder.tensor([batch], 'u32', 'ranks');
  const dlogits = builder.tensor(logits.shape, 'f32', 'gradient of the logits');
  const common = { logits, labels: input.labels, losses, ranks, dlogits, smoothing: options.labelSmoothing };
  if (teacher && options.teacher) {
    const { temperature, alpha } = options.teacher;
    distillation(builder, { ...common, teacher, temperature, alpha });
  } else softmaxCrossEntropy(builder, common);
  const ring = builder.own([RING, METRICS], 'f32', 'metrics');
  const slot = builder.adopt(new DynamicArgs(gpu, recordMetricsShader, { slot: 0, count: batch }));
  recordMetrics(builder, { losses, ranks, ring, args: slot.slice });

  const gradients = store.companion('gradients');
  const targets = new Map(
    store.trained.map((parameter) => {
      const slice = store.sliceOf(parameter, gradients.buffer);
      const label = `gradient of ${parameter.name}`;
      return [parameter.name, builder.persistent(slice, parameter.shape, 'f32', label)];
    }),
  );
  recordBackward(tape, { seeds: new Map([[outputs, dlogits]]), targets });

  builder.context = 'update';
  const bits = packMasks(store, options.masks ?? new Map());
  const mask = builder.own([bits.length], 'u32', 'mask').storage.slice as BufferSlice;
  gpu.write(mask, bits);
  const elements = store.elements('weights');
  const scores = options.importance && store.companion('importance');
  if (scores && options.importance) {
    accumulateImportance(builder, {
      kind: options.importance,
      weights: builder.persistent(store.arena('weights'), [elements], 'f32', 'weights'),
      gradients: builder.persistent(gradients, [elements], 'f32', 'gradients'),
      scores: builder.persistent(scores, [elements], 'f32', 'importance'),
    });
  }
  const optimizer = options.optimizer && builder.adopt(new Optimizer(store, options.optimizer));
  optimizer?.record(builder, gradients, mask);
  builder.context = '';
  return { store, mask, gradients, scores, input, optimizer, slot, ring: ring.storage.slice as BufferSlice };
}

function prepareTeacher(source: Graph, batch: number): PreparedGraph {
  return prepareGraph(foldBatchNorm(logitsGraph(source)), { batch });
}

/** Records a network that only answers, on the student's input; gives its logits. */
function recordTeacher(builder: Builder, { graph, shapes }: PreparedGraph, input: Value<'f32'>): Value<'f32'> {
  const store = builder.adopt(new ParameterStore(builder.gpu, graph));
  const name = onlyInput(graph);
  const { values } = recordForward({
    builder,
    graph,
    shapes,
    store,
    inputs: new Map([[name, builder.view(input, shapes.get(name) as number[])]]),
    training: false,
    prefix: 'teacher ',
  });
  return values.get(graph.outputs[0].name) as Value<'f32'>;
}
