import { InferenceModel } from '../engine/inference.ts';
import type { ParameterStore } from '../engine/parameters.ts';
import type { Precision, TunedChoices } from '../gpu/capabilities.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import type { ImagePreparer } from './imagePreparer.ts';
import type { Feed } from './inputs.ts';
import { pause } from './pace.ts';
import type { KeptFile, ReadModel } from './readModel.ts';
import type { Weights } from './weights.ts';

/** What a model takes, in bytes. */
export interface ModelMemory {
  /** On the GPU: the weights, and what was made of them once, for all batch sizes. */
  weights: number;
  /** On the GPU: inputs, and what lies between the layers, of the batch sizes at hand. */
  activations: number;
  /** On the GPU: images on their way to an input. */
  images: number;
  /** On the host: the file as it was loaded, kept for the day the device is lost. */
  file: number;
}

interface Compiled {
  model: InferenceModel;
  /** What only this plan has on the GPU; goes with it. */
  own: ParameterStore;
}

/** Plans for this many input shapes are kept. */
const PLANS = 4;
/** Beyond so many the page gets a chance to draw. */
const DISPATCHES_PER_SUBMIT = 64;

/** A model on one device: its weights, and a plan for each of the input shapes used last. */
export class Session {
  readonly gpu: Gpu;
  readonly #file: KeptFile;
  readonly #weights: Weights;
  readonly #tuned: TunedChoices | undefined;
  readonly #precision: Precision | undefined;
  readonly #graph: Graph;
  readonly #plans = new Map<string, Compiled>();
  readonly #images = new Map<string, ImagePreparer>();
  /** Runs wait here for one another until they are queued on the GPU. */
  #queue: Promise<unknown> = Promise.resolve();
  #isBusy = false;
  #isDisposed = false;

  constructor(
    gpu: Gpu,
    { file, graph, weights }: ReadModel,
    tuned: TunedChoices | undefined,
    precision: Precision | undefined,
  ) {
    this.gpu = gpu;
    this.#file = file;
    this.#weights = weights;
    this.#graph = graph;
    this.#tuned = tuned;
    this.#precision = precision;
  }

  get memory(): ModelMemory {
    let weights = this.#weights.bytes;
    let activations = 0;
    for (const { model, own } of this.#plans.values()) {
      weights += own.bytes + model.memory.derived;
      activations += model.memory.planned;
      for (const { name } of model.inputs) activations += model.locate(name).size;
    }
    const images = [...this.#images.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return { weights, activations, images, file: this.#file.bytes.length };
  }

  /** Compiles ahead for these shapes. */
  prepare(shapes: Readonly<Record<string, number[]>>): Promise<void> {
    return this.#inTurn(async () => {
      await this.#planFor(shapes);
    });
  }

  async run(feeds: readonly Feed[]): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const queued = await this.#inTurn(async () => {
      const { model } = await this.#planFor(Object.fromEntries(feeds.map(({ name, shape }) => [name, shape])));
      for (const feed of feeds) await this.#feed(model, feed);
      if (model.plan.dispatchCount > DISPATCHES_PER_SUBMIT) await model.plan.replayYielding();
      else model.plan.replay();
      // Queued now, awaited when the next run may already be queued behind it.
      const outputs = this.gpu.orLost(model.readOutputs());
      outputs.catch(() => {}); // nobody gets to hear of it where this turn fails too
      return { outputs };
    });
    return queued.outputs;
  }

  async #feed(model: InferenceModel, { name, shape, data, images, imageInput }: Feed): Promise<void> {
    if (data) model.write(name, data);
    if (!images || !imageInput) return;
    let preparer = this.#images.get(name);
    if (!preparer) {
      // A page that only gives numbers does without.
      const { makeImagePreparer } = await import('./imagePreparer.ts');
      preparer = makeImagePreparer(this.gpu, imageInput, this.#file.meta);
      this.#images.set(name, preparer);
    }
    const whole = model.locate(name);
    const size = whole.size / (shape[0] as number);
    for (const [i, image] of images.entries()) {
      await preparer.write(image, { buffer: whole.buffer, offset: whole.offset + i * size, size });
    }
  }

  async #planFor(shapes: Readonly<Record<string, number[]>>): Promise<Compiled> {
    const key = JSON.stringify(shapes);
    const known = this.#plans.get(key);
    if (known) {
      this.#plans.delete(key);
      this.#plans.set(key, known);
      return known;
    }
    const made = await this.#compile(shapes);
    this.#plans.set(key, made);
    for (const [oldest, { model }] of this.#plans) {
      if (this.#plans.size <= PLANS) break;
      model.dispose();
      this.#plans.delete(oldest);
    }
    return made;
  }

  async #compile(shapes: Record<string, number[]>): Promise<Compiled> {
    const file = this.#graph;
    let own!: ParameterStore;
    const model = await InferenceModel.compile(this.gpu, file, {
      inputShapes: shapes,
      tuned: this.#tuned,
      precision: this.#precision,
      dispatchesPerSubmit: DISPATCHES_PER_SUBMIT,
      pause,
      formOf: (graph, name) => this.#weights.formOf(graph, file, name),
      parameters: (graph) => {
        const found = this.#weights.sourceFor(graph, file);
        own = found.own;
        return { ...found.source, dispose: () => own.dispose() };
      },
    });
    this.#weights.releaseUnused();
    return { model, own };
  }

  /** One after the other; the next does not care how this one ended. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = async () => {
      if (this.#isDisposed) throw new InputError('The model was disposed of before its turn');
      this.#isBusy = true;
      try {
        return await work();
      } finally {
        this.#isBusy = false;
        if (this.#isDisposed) this.#free();
      }
    };
    const result = this.gpu.orLost(this.#queue.then(turn));
    this.#queue = result.catch(() => {});
    return result;
  }

  /** A turn under way ends first: what it makes is freed too, and a buffer freed below it would fail the whole device. */
  dispose(): void {
    this.#isDisposed = true;
    if (!this.#isBusy) this.#free();
  }

  #free(): void {
    for (const { model } of this.#plans.values()) model.dispose();
    this.#plans.clear();
    for (const preparer of this.#images.values()) preparer.dispose();
    this.#images.clear();
    this.#weights.dispose();
  }
}
