import type { Gpu } from '../gpu/gpu.ts';
import { openGpu } from '../gpu/node.ts';
import { tunedChoices } from '../kernels/tune/variants.ts';
import { nodeAdapterKey, readTuned } from '../kernels/tunedCache.node.ts';
import type { GpuFlags } from './flags.ts';

/** How a result names the adapter it was made on. */
export interface AdapterName {
  name: string;
  kind: 'gpu' | 'cpu';
  driver: string;
}

export function adapterName({ capabilities: { name, kind, driver } }: Gpu): AdapterName {
  return { name, kind, driver };
}

/** Lets kernels choose by what `wgslim tune` found on this adapter, unless WGSLIM_TUNED=off. */
export function useTunedChoices(gpu: Gpu): void {
  if (process.env.WGSLIM_TUNED !== 'off') gpu.useTuned(tunedChoices(readTuned(nodeAdapterKey(gpu.capabilities))));
}

/** Opens the adapter that was asked for, and gives it back whatever happens. */
export async function withGpu<T>(flags: GpuFlags, use: (gpu: Gpu) => Promise<T>): Promise<T> {
  const { gpu } = await openGpu({ adapter: flags.adapter });
  useTunedChoices(gpu);
  try {
    return await use(gpu);
  } finally {
    gpu.destroy();
  }
}
