import type { Precision, TunedSource } from '../gpu/capabilities.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { exportedBatch } from '../graph/exportedBatch.ts';
import type { Graph, ValueInfo } from '../graph/types.ts';
import { type DeviceOption, deviceSource } from './devices.ts';
import type { WeightMemory } from './packWeights.ts';
import { keptSource, type LoadProgress, readModel } from './readModel.ts';
import { Session } from './session.ts';
import { type ModelSource, openSource } from './source.ts';
import { Model, type OpenSession } from './webModel.ts';

export interface WebLoadOptions {
  /**
   * A device of your own, which stays yours to destroy; or a function that gives one, asked again when it is lost. By
   * default the runtime makes one, for all models together.
   */
  device?: DeviceOption;
  onProgress?: (progress: LoadProgress) => void;
  /**
   * What the weights may take on the GPU. `small`: about what they take in the file; layers whose kernels need more are
   * unpacked in every run, into memory that activations use before and after. `fast`: what the kernels need, and
   * what can be made of them once rather than in every run.
   */
  weights?: WeightMemory | undefined;
  /** Samples that the first run will have; compiled ahead. Default: as exported, or 1. */
  batch?: number;
  /**
   * Where the variants of kernels come from that were measured to be the fastest on this adapter; asked again for a new
   * device. Default: none, kernels choose by rule.
   */
  tuned?: TunedSource | undefined;
  /**
   * `f16`: layers of float weights, and of packed ones that are unpacked to floats, may be computed in half precision where
   * that is faster on the device; values beyond 65504 become infinite. Default: `f32`.
   */
  precision?: Precision | undefined;
  signal?: AbortSignal;
  /** Told of a loss before the model moves to a new device. */
  onDeviceLost?: (info: GPUDeviceLostInfo) => void;
}

/**
 * Loads a compressed network: the header as soon as it is there, every layer onto the GPU as it arrives. Resolves when
 * the checksum fits and the shaders are compiled.
 * @throws NoAdapterError without WebGPU; InputError for a file that is damaged or cannot be run; LimitError for one that
 * is too large for the device; FetchError for one that cannot be fetched; the signal's reason when it is aborted
 */
export async function load<In extends string = string, Out extends string = string>(
  source: ModelSource | Promise<Response>,
  options: WebLoadOptions = {},
): Promise<Model<In, Out>> {
  const devices = deviceSource(options.device);
  // The adapter is asked for while the file is on its way.
  const acquired = devices.acquire();
  // The choices too; nothing is put on the GPU before they are there.
  const findTuned = async ({ capabilities }: Gpu) => options.tuned?.(capabilities);
  const choices = acquired.then(findTuned);
  const ready = choices.then(() => acquired);
  ready.catch(() => {});
  let session: Session | undefined;
  try {
    const opened = await openSource(await source, options.signal);
    const read = await readModel(ready, opened, options);
    session = new Session(await acquired, read, await choices, options.precision);
    const { file, graph } = read;
    const shapes = firstShapes(graph, options.batch);
    if (shapes) await session.prepare(shapes);
    options.signal?.throwIfAborted();
    const reopen: OpenSession = async (gpu) => {
      const tuned = await findTuned(gpu);
      return new Session(
        gpu,
        await readModel(Promise.resolve(gpu), keptSource(file), { weights: options.weights }),
        tuned,
        options.precision,
      );
    };
    return new Model<In, Out>({ file, graph, session, devices, reopen, onDeviceLost: options.onDeviceLost });
  } catch (error) {
    session?.dispose();
    acquired.then(
      (gpu) => devices.release(gpu),
      () => {},
    );
    throw error;
  }
}

/** The shapes that the first run most likely has; undefined where a dimension besides the batch is open. */
function firstShapes(graph: Graph, batch: number | undefined): Record<string, number[]> | undefined {
  const first = batch ?? exportedBatch(graph) ?? 1;
  const shapeOf = ({ shape }: ValueInfo) => shape?.map((dim, axis) => (axis === 0 ? first : dim));
  const shapes = graph.inputs.map((input): [string, (number | string)[] | undefined] => [input.name, shapeOf(input)]);
  const isSettled = shapes.every(([, shape]) => shape?.every((dim) => typeof dim === 'number'));
  return isSettled ? (Object.fromEntries(shapes) as Record<string, number[]>) : undefined;
}
