import { NoAdapterError } from '../gpu/errors.ts';
import { Gpu, type OpenOptions } from '../gpu/gpu.ts';

/** The page's own adapter. @throws NoAdapterError where the browser has no WebGPU, or no adapter for it */
export async function openWebGpu(options: OpenOptions = {}): Promise<Gpu> {
  const entry = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (!entry) throw new NoAdapterError('This browser has no WebGPU: use a recent Chrome, Edge, Firefox or Safari');
  return Gpu.open(entry, options);
}
