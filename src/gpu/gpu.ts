import { BufferPool, type BufferSlice, USAGE } from './buffers.ts';
import { type Capabilities, readCapabilities, type TunedChoices } from './capabilities.ts';
import { DeviceLostError, GpuError, NoAdapterError } from './errors.ts';
import { PipelineCache } from './pipelines.ts';

export interface OpenOptions {
  /** Leave these features off although the adapter has them (tests of the fallbacks). */
  without?: readonly (GPUFeatureName | 'immediates')[];
  powerPreference?: GPUPowerPreference;
  /** Taken where the adapter has them. Default `WANTED_FEATURES`; with experimental ones: `featuresWith`. */
  features?: readonly GPUFeatureName[];
}

export const WANTED_FEATURES: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

// Taken as high as the adapter goes: a model decides what it needs only after the device exists.
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
  'maxImmediateSize',
] as const;

/** Asks for a promise of the GPU and waits for it. */
export type Wait = <T>(ask: () => Promise<T>) => Promise<T>;

/** A device with its buffers and pipelines. One Gpu may serve any number of plans. */
export class Gpu {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly buffers: BufferPool;
  readonly pipelines: PipelineCache;
  /** Resolves when the device is lost, for whatever reason, `destroy` included. */
  readonly lost: Promise<GPUDeviceLostInfo>;
  /** Set where a pending promise costs the GPU time: a way to wait that leaves it most of that. */
  patience: Wait | undefined;
  #lostInfo: GPUDeviceLostInfo | undefined;
  #failure: GpuError | undefined;
  /** Rejections of what `orLost` waits for. */
  readonly #waiting = new Set<(error: DeviceLostError) => void>();
  readonly #staging: GPUBuffer[] = [];

  /** Takes over a device that the caller made (and keeps the right to destroy). */
  constructor(device: GPUDevice, info: GPUAdapterInfo, languageFeatures: ReadonlySet<string>) {
    this.device = device;
    this.capabilities = readCapabilities(device, info, languageFeatures);
    this.buffers = new BufferPool(device, this.capabilities);
    this.pipelines = new PipelineCache(device);
    this.lost = device.lost.then((lost) => {
      this.#lostInfo = lost;
      for (const reject of this.#waiting) reject(lossOf(lost));
      return lost;
    });
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.#failure ??= new GpuError(`The GPU refused an operation: ${error.message}`);
    });
  }

  static async open(
    entry: GPU,
    { without = [], features = WANTED_FEATURES, powerPreference = 'high-performance' }: OpenOptions = {},
  ): Promise<Gpu> {
    const adapter = await entry.requestAdapter({ powerPreference });
    if (!adapter) throw new NoAdapterError('WebGPU found no adapter on this machine');
    const requiredLimits: Record<string, number> = {};
    for (const limit of WANTED_LIMITS) {
      // Browsers of today lack the newest ones.
      if (adapter.limits[limit] !== undefined) requiredLimits[limit] = adapter.limits[limit];
    }
    const device = await adapter.requestDevice({
      label: 'wgslim',
      requiredFeatures: features.filter((feature) => adapter.features.has(feature) && !without.includes(feature)),
      requiredLimits,
    });
    const languageFeatures = new Set<string>(entry.wgslLanguageFeatures ?? []);
    if (without.includes('immediates')) languageFeatures.delete('immediate_address_space');
    return new Gpu(device, adapter.info, languageFeatures);
  }

  /** Kernels that are recorded from now on take these choices, or again choose by rule. */
  useTuned(choices: TunedChoices | undefined): void {
    this.capabilities.tuned = choices;
  }

  get isLost(): boolean {
    return this.#lostInfo !== undefined;
  }

  /** Throws what went wrong since the last check: a lost device, or an operation that validation refused. */
  throwIfLost(): void {
    if (this.#lostInfo) throw lossOf(this.#lostInfo);
    if (this.#failure) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failure;
    }
  }

  /**
   * Settles as `work` does, or rejects when the device is lost: browsers may leave what waits for it open for ever. Not a
   * race with `lost`, which would keep every racer for as long as the device lives.
   */
  orLost<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#lostInfo) reject(lossOf(this.#lostInfo));
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** Resolves when everything queued so far has run. */
  async idle(): Promise<void> {
    this.throwIfLost();
    await this.#wait(() => this.orLost(this.device.queue.onSubmittedWorkDone()));
    this.throwIfLost();
  }

  #wait<T>(ask: () => Promise<T>): Promise<T> {
    return this.patience ? this.patience(ask) : ask();
  }

  write(target: BufferSlice, data: ArrayBufferView<ArrayBuffer> | ArrayBuffer): void {
    this.throwIfLost();
    if (data.byteLength > target.size) throw new GpuError(`Cannot write ${data.byteLength} bytes into ${target.size}`);
    // writeBuffer takes multiples of four bytes; what lies beyond a byte array's end in its slice is padding.
    if (data.byteLength % 4 !== 0) {
      const source = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data);
      const padded = new Uint8Array(Math.ceil(source.length / 4) * 4);
      padded.set(source);
      this.device.queue.writeBuffer(target.buffer, target.offset, padded);
    } else {
      this.device.queue.writeBuffer(target.buffer, target.offset, data);
    }
  }

  /** Reads a range back, after everything queued before. Staging buffers are pooled by size. */
  read(source: BufferSlice): Promise<ArrayBuffer> {
    return this.#readBack(source, (mapped) => mapped.slice(0, source.size));
  }

  /**
   * A range as floats.
   * @param into memory for them, for a loop that reads again and again: a new array costs several times the copy
   * @throws RangeError where the range is longer than that
   */
  readFloats(source: BufferSlice, into?: Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    return this.#readBack(source, (mapped) => {
      if (!into) return new Float32Array(mapped.slice(0, source.size));
      into.set(new Float32Array(mapped, 0, source.size / 4));
      return into;
    });
  }

  async #readBack<Result>(source: BufferSlice, take: (mapped: ArrayBuffer) => Result): Promise<Result> {
    this.throwIfLost();
    const size = Math.ceil(source.size / 4) * 4;
    if (size === 0) return take(new ArrayBuffer(0));
    const staging = this.#takeStaging(size);
    const encoder = this.device.createCommandEncoder({ label: 'read back' });
    encoder.copyBufferToBuffer(source.buffer, source.offset, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    try {
      await this.#wait(() => staging.mapAsync(1, 0, size)); // GPUMapMode.READ
    } catch (error) {
      await Promise.resolve(); // lets `lost` report first
      this.throwIfLost();
      throw new GpuError(`Reading back failed: ${(error as Error).message}`);
    }
    try {
      const taken = take(staging.getMappedRange(0, size));
      this.throwIfLost();
      return taken;
    } finally {
      staging.unmap();
      this.#staging.push(staging);
    }
  }

  #takeStaging(size: number): GPUBuffer {
    const index = this.#staging.findIndex((buffer) => buffer.size >= size && buffer.size <= 4 * size + 4096);
    if (index >= 0) return this.#staging.splice(index, 1)[0];
    if (this.#staging.length >= 4) this.buffers.destroy(this.#staging.shift() as GPUBuffer);
    return this.buffers.create(size, 'read back', USAGE.MAP_READ | USAGE.COPY_DST);
  }

  destroy(): void {
    this.device.destroy();
  }
}

function lossOf({ reason, message }: GPUDeviceLostInfo): DeviceLostError {
  return new DeviceLostError(`The GPU device was lost (${reason}): ${message}`);
}
