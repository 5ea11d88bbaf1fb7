import { DeviceLostError, NoAdapterError } from '../gpu/errors.ts';
import { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import { openWebGpu } from './openGpu.ts';

/** A device of the caller's, or a function that gives one, and another one when that is lost. */
export type DeviceOption = GPUDevice | (() => GPUDevice | Promise<GPUDevice>);

/** Where a model gets a device from, and the next one after a loss. */
export interface DeviceSource {
  acquire(): Promise<Gpu>;
  release(gpu: Gpu): void;
  /** Whether `acquire` may give another device after a loss. */
  readonly renewable: boolean;
}

/** One Gpu per device, so that models on one device share its pipelines. */
const wrapped = new WeakMap<GPUDevice, Gpu>();

export function deviceSource(option: DeviceOption | undefined): DeviceSource {
  if (!option) return ownDevice;
  const isFunction = typeof option === 'function';
  let last: GPUDevice | undefined;
  return {
    renewable: isFunction,
    async acquire() {
      const device = isFunction ? await option() : option;
      if (typeof device?.createShaderModule !== 'function') {
        throw new InputError('The option device must be a GPUDevice, or a function that gives one');
      }
      const gpu = wrap(device);
      // The promise of a loss that has happened needs a turn to say so.
      await Promise.race([gpu.lost, Promise.resolve()]);
      if (gpu.isLost) {
        const what = device === last ? 'gave the device again that was lost' : 'gave a device that is lost';
        throw new DeviceLostError(`The function given as device ${what}: give a new one`);
      }
      last = device;
      return gpu;
    },
    // The caller's: it may go on using it, and destroys it.
    release() {},
  };
}

function wrap(device: GPUDevice): Gpu {
  let gpu = wrapped.get(device);
  if (!gpu) {
    const languageFeatures = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu?.wgslLanguageFeatures;
    const info = device.adapterInfo ?? { vendor: '', architecture: '', device: '', description: '' };
    gpu = new Gpu(device, info, new Set<string>(languageFeatures ?? []));
    wrapped.set(device, gpu);
  }
  return gpu;
}

let shared: { gpu: Promise<Gpu>; users: number } | undefined;

/** The runtime's own device: one for all models that bring none, destroyed when the last of them is disposed. */
const ownDevice: DeviceSource = {
  renewable: true,
  async acquire() {
    if (shared) {
      const known = shared;
      const gpu = await known.gpu.catch(() => undefined);
      if (gpu && !gpu.isLost && known === shared) {
        known.users++;
        return gpu;
      }
      if (known !== shared) return ownDevice.acquire();
    }
    const entry = { gpu: openWebGpu(), users: 1 };
    shared = entry;
    try {
      return await entry.gpu;
    } catch (error) {
      if (shared === entry) shared = undefined;
      throw error instanceof NoAdapterError ? error : new NoAdapterError(`WebGPU gave no device: ${textOf(error)}`);
    }
  },
  release(gpu) {
    const entry = shared;
    void entry?.gpu.then(
      (current) => {
        // A lost device is gone with all its users.
        if (current !== gpu || --entry.users > 0) return;
        if (shared === entry) shared = undefined;
        gpu.destroy();
      },
      () => {},
    );
  },
};

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
