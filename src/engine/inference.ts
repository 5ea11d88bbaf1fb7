import type { BufferSlice } from '../gpu/buffers.ts';
import type { Precision, TunedChoices } from '../gpu/capabilities.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import { mayFold } from '../graph/fold/folding.ts';
import { batchNormFolded } from '../graph/passes/batchNormFolded.ts';
import type { GraphRules } from '../graph/propagate.ts';
import { inputShapesFor, isExportedOtherwise, type SpecializeOptions } from '../graph/specializeWith.ts';
import type { Graph } from '../graph/types.ts';
import type { PackedLayer } from '../kernels/layerFamily.ts';
import { withPrecision } from '../kernels/precision.ts';
import { type Builder, buildPlan, type CompiledPlan } from './builder.ts';
import { recordingForward } from './forward.ts';
import { type ParameterSource, ParameterStore } from './parameters.ts';
import { prepareWith } from './prepareWith.ts';
import { loadOperators } from './registry.ts';
import { type Derived, elementsOf, type Value } from './value.ts';

export interface InferenceOptions {
  /** Length of the batch dimension. Default: as exported, or 1 where it is symbolic. */
  batch?: number;
  /** Fixed shapes of inputs whose other dimensions are symbolic too. */
  inputShapes?: Record<string, number[]>;
  /** Initializers that are on the GPU already; by default the model puts up its own. */
  parameters?: (graph: Graph) => OwnedParameters;
  /** The form in which those have an initializer; undefined for floats. By default the kernels of floats are fetched too. */
  formOf?: (graph: Graph, name: string) => PackedLayer['form'] | undefined;
  /** Variants of kernels that were measured to be the fastest; by default those of the device. */
  tuned?: TunedChoices | undefined;
  /**
   * `f16`: products and convolutions may round their inputs to half precision, where the adapter computes faster with it;
   * values beyond 65504 become infinite. `f32` by default.
   */
  precision?: Precision | undefined;
  /** See `PlanOptions`. */
  dispatchesPerSubmit?: number;
  pause?: () => Promise<void>;
}

/** Parameters that the plan frees with itself, where they can be freed; the others outlive it. */
export type OwnedParameters = ParameterSource & { dispose?(): void };

/** The parameters of a plan that is being recorded. */
export function adoptParameters(
  builder: Builder,
  graph: Graph,
  parameters: InferenceOptions['parameters'],
): ParameterSource {
  const given = parameters?.(graph);
  if (!given) return builder.adopt(new ParameterStore(builder.gpu, graph));
  if (given.dispose) builder.adopt({ dispose: () => given.dispose?.() });
  return given;
}

/** A graph compiled for inference at one batch size: the plan is made once and replayed by every run. */
export class InferenceModel {
  readonly gpu: Gpu;
  readonly inputs: readonly { name: string; shape: readonly number[] }[];
  readonly outputs: readonly { name: string; shape: readonly number[] }[];
  readonly #plan: CompiledPlan;
  readonly #values: ReadonlyMap<string, Value<'f32'>>;
  readonly #derived: number;

  private constructor(
    gpu: Gpu,
    graph: Graph,
    plan: CompiledPlan,
    values: ReadonlyMap<string, Value<'f32'>>,
    derived: number,
  ) {
    this.gpu = gpu;
    this.#derived = derived;
    this.#plan = plan;
    this.#values = values;
    const describe = ({ name }: { name: string }) => ({ name, shape: (values.get(name) as Value).shape });
    this.inputs = graph.inputs.map(describe);
    this.outputs = graph.outputs.map(describe);
  }

  static async compile(gpu: Gpu, source: Graph, options: InferenceOptions = {}): Promise<InferenceModel> {
    const { batch, inputShapes, parameters, tuned, dispatchesPerSubmit, pause } = options;
    const known = tuned ? { ...gpu.capabilities, tuned } : gpu.capabilities;
    const capabilities = withPrecision(known, options.precision);
    const folded = await batchNormFolded(source);
    const shaped = { batch, inputShapes };
    const { graph, shapes } = prepareWith(await rulesFor(folded, shaped), folded, shaped);
    await pause?.();
    await loadOperators({
      graph,
      shapes,
      capabilities,
      ...(options.formOf && { formOf: (name) => options.formOf?.(graph, name) }),
    });
    const derived = new Map<string, Derived>();
    const record = async (builder: Builder) => {
      const store = adoptParameters(builder, graph, parameters);
      const inputs = new Map(
        graph.inputs.map(({ name }) => [name, builder.own(shapes.get(name) as number[], 'f32', name)]),
      );
      const derive = (name: string, key: string, bytes: number): Derived => {
        const place = `${name}, ${key}`;
        const known = store.derive?.(name, key, bytes) ?? derived.get(place);
        if (known) return known;
        const { storage } = builder.own([bytes / 4], 'f32', place);
        const made = { slice: storage.slice as BufferSlice, isReady: false };
        derived.set(place, made);
        return made;
      };
      const request = { builder, graph, shapes, store, inputs, training: false, inferenceOnly: true };
      const recording = recordingForward(store.isSmall ? request : { ...request, derive });
      let step = recording.next();
      for (; !step.done; step = recording.next()) await pause?.();
      const { values } = step.value;
      const results = new Map<string, Value<'f32'>>(inputs);
      for (const { name } of graph.outputs) {
        const value = values.get(name);
        if (!value) throw new InputError(`Output ${name} is not computed by the graph`);
        builder.keep(value);
        results.set(name, value);
      }
      return results;
    };
    const planning = {
      capabilities,
      ...(dispatchesPerSubmit && { dispatchesPerSubmit }),
      ...(pause && { pause }),
    };
    const { compiled, parts } = await buildPlan(gpu, `inference of ${source.name}`, record, planning);
    const bytes = [...derived.values()].reduce((sum, { slice }) => sum + slice.size, 0);
    return new InferenceModel(gpu, graph, compiled, parts, bytes);
  }

  /** Memory of the plan's temporaries, and of what it has made of its weights once, bytes. */
  get memory() {
    return { ...this.#plan.memory, derived: this.#derived };
  }

  /** For `liveBytes`. */
  get compiled() {
    return this.#plan;
  }

  get plan() {
    return this.#plan.plan;
  }

  /** Where an input or output lies, for callers that fill or read it on the GPU. */
  locate(name: string): BufferSlice {
    return this.#plan.locate(this.#value(name));
  }

  #value(name: string): Value<'f32'> {
    const value = this.#values.get(name);
    if (!value)
      throw new InputError(`The model has no input or output ${name}; it has ${[...this.#values.keys()].join(', ')}`);
    return value;
  }

  /** Writes an input, row-major in its shape. */
  write(name: string, data: Float32Array<ArrayBuffer>): void {
    const { shape } = this.#value(name);
    if (data.length !== elementsOf(shape)) {
      throw new InputError(`Input ${name} takes ${elementsOf(shape)} numbers (${shape.join('×')}), not ${data.length}`);
    }
    if (data.length > 0) this.gpu.write(this.locate(name), data);
  }

  /** Reads an output after a replay. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    if (elementsOf(this.#value(name).shape) === 0) return new Float32Array(0);
    return this.gpu.readFloats(this.locate(name));
  }

  /** Runs once: every input by name to every output by name. */
  async run(inputs: ReadonlyMap<string, Float32Array<ArrayBuffer>>): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    for (const { name } of this.inputs) {
      const data = inputs.get(name);
      if (!data) throw new InputError(`Input ${name} is missing`);
      this.write(name, data);
    }
    this.#plan.plan.replay();
    return this.readOutputs();
  }

  /** Reads every output. The copies are queued before this returns, so that another run may be queued behind it. */
  async readOutputs(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const read = this.outputs.map(async ({ name }) => [name, await this.read(name)] as const);
    return new Map(await Promise.all(read));
  }

  dispose(): void {
    this.#plan.dispose();
  }
}

/** The rules that a graph needs, each fetched where it does: most have nothing to fold, and run as they were exported. */
async function rulesFor(graph: Graph, options: SpecializeOptions): Promise<Omit<GraphRules, 'infer'>> {
  const isGeneral = isExportedOtherwise(graph, inputShapesFor(graph, options));
  return {
    fold: mayFold(graph) || isGeneral ? (await import('../graph/fold/fold.ts')).foldNode : undefined,
    generalize: isGeneral ? (await import('../graph/batch.ts')).generalizeBatch : undefined,
  };
}
