import type { ModelMeta } from '../format/meta.ts';
import { DeviceLostError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import type { Dim, Graph, ValueInfo } from '../graph/types.ts';
import type { DeviceSource } from './devices.ts';
import { type Feed, type InputValue, readFeeds } from './inputs.ts';
import type { KeptFile } from './readModel.ts';
import type { ModelMemory, Session } from './session.ts';

/** An input or output: its first dimension is the batch, of any length. */
export interface ModelValue<Name extends string = string> {
  readonly name: Name;
  readonly shape: readonly Dim[];
}

/** Devices that one `run` may lose before it gives up. */
const ATTEMPTS = 3;

/** How a session comes about, from a file that has arrived or one that is kept. */
export type OpenSession = (gpu: Gpu) => Promise<Session>;

/**
 * A compressed network, ready to run. It survives the loss of its device: a run that is under way is repeated on a new
 * one.
 */
export class Model<In extends string = string, Out extends string = string> {
  readonly inputs: readonly ModelValue<In>[];
  readonly outputs: readonly ModelValue<Out>[];
  /** What the file remembers: names of the classes, preprocessing, … */
  readonly meta: ModelMeta;
  readonly #values: readonly ValueInfo[];
  readonly #devices: DeviceSource;
  readonly #reopen: OpenSession;
  readonly #onLost: ((info: GPUDeviceLostInfo) => void) | undefined;
  #session: Promise<Session> | undefined;
  #current: Session | undefined;
  #disposed = false;

  constructor(parts: {
    file: KeptFile;
    graph: Pick<Graph, 'inputs' | 'outputs'>;
    session: Session;
    devices: DeviceSource;
    reopen: OpenSession;
    onDeviceLost?: ((info: GPUDeviceLostInfo) => void) | undefined;
  }) {
    const { file, graph, session, devices, reopen, onDeviceLost } = parts;
    const describe = <Name extends string>({ name, shape = [] }: ValueInfo) => ({ name: name as Name, shape });
    this.#values = graph.inputs;
    this.inputs = graph.inputs.map((value) => describe<In>(value));
    this.outputs = graph.outputs.map((value) => describe<Out>(value));
    this.meta = file.meta;
    this.#devices = devices;
    this.#reopen = reopen;
    this.#onLost = onDeviceLost;
    this.#adopt(session);
  }

  /** The device that it is on; another one after a loss. */
  get device(): GPUDevice | undefined {
    return this.#current?.gpu.device;
  }

  /**
   * Runs the network on as many samples as the inputs hold; any number, with a plan for each of the last few. Inputs go
   * by name, or as they are where there is only one. They must stay as they are until the promise settles.
   * @returns every output by its name, row-major
   * @throws InputError for inputs that do not fit; DeviceLostError, whose `retry` says whether to call again
   */
  async run(inputs: InputValue | Readonly<Record<In, InputValue>>): Promise<Record<Out, Float32Array<ArrayBuffer>>> {
    const feeds = readFeeds(this.#values, inputs);
    for (let attempt = 1; ; attempt++) {
      const session = await this.#open();
      try {
        const outputs = await session.run(feeds);
        return Object.fromEntries(outputs) as Record<Out, Float32Array<ArrayBuffer>>;
      } catch (error) {
        if (this.#disposed) throw disposed();
        await this.#judge(error, session, attempt, feeds);
      }
    }
  }

  /** What the model takes on the GPU and on the host. */
  memory(): ModelMemory {
    if (this.#disposed || !this.#current) return { weights: 0, activations: 0, images: 0, file: 0 };
    return this.#current.memory;
  }

  /** Frees everything on the GPU. A device of the runtime's own goes with the last model on it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const session = this.#current;
    this.#current = undefined;
    this.#session = undefined;
    if (!session) return;
    session.dispose();
    this.#devices.release(session.gpu);
  }

  /** Returns where a failed run may be repeated. */
  async #judge(error: unknown, session: Session, attempt: number, feeds: readonly Feed[]): Promise<void> {
    // The browser may report an operation that failed before the loss that made it fail.
    if (!(error instanceof DeviceLostError)) await new Promise((resolve) => setTimeout(resolve, 0));
    if (!(error instanceof DeviceLostError) && !session.gpu.isLost) {
      const isOld = attempt > 1 && error instanceof InputError && feeds.some(({ images }) => images);
      if (!isOld) throw error;
      throw new DeviceLostError('The GPU device was lost and the image is gone: run the model again', { retry: true });
    }
    if (!this.#devices.renewable) throw broughtDeviceLost();
    if (attempt >= ATTEMPTS) {
      throw new DeviceLostError(`The GPU device was lost ${attempt} times in a row: run the model again`, {
        retry: true,
      });
    }
    this.#forget(session);
  }

  #adopt(session: Session): void {
    this.#current = session;
    this.#session = Promise.resolve(session);
    // A device may outlive many models: it must not hold on to them.
    const [model, old] = [new WeakRef(this), new WeakRef(session)];
    void session.gpu.lost.then((info) => {
      const live = model.deref();
      if (live) live.#onDeviceLost(info, old.deref());
    });
  }

  #onDeviceLost(info: GPUDeviceLostInfo, session: Session | undefined): void {
    if (this.#disposed || !session || this.#current !== session) return;
    this.#onLost?.(info);
    this.#forget(session);
    // Ready again before the next run asks; what goes wrong here shows there.
    if (this.#devices.renewable) this.#open().catch(() => {});
  }

  #forget(session: Session): void {
    if (this.#current !== session) return;
    this.#current = undefined;
    this.#session = undefined;
  }

  #open(): Promise<Session> {
    if (this.#disposed) return Promise.reject(disposed());
    if (!this.#session && !this.#devices.renewable) return Promise.reject(broughtDeviceLost());
    this.#session ??= this.#renew();
    return this.#session;
  }

  async #renew(): Promise<Session> {
    try {
      const gpu = await this.#devices.acquire();
      let session: Session;
      try {
        session = await this.#reopen(gpu);
      } catch (error) {
        this.#devices.release(gpu);
        throw error;
      }
      if (this.#disposed) {
        session.dispose();
        this.#devices.release(gpu);
        throw disposed();
      }
      this.#adopt(session);
      return session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }
}

function broughtDeviceLost(): DeviceLostError {
  return new DeviceLostError(
    'The GPU device that the model was loaded with was lost: load it again with a new one, or give load a function that makes devices',
  );
}

function disposed(): InputError {
  return new InputError('The model was disposed of: load it again');
}
