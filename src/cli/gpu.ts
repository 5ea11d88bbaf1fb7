import type { Gpu } from '../gpu/gpu.ts';
import { type NodeGpu, type NodeOpenOptions, openGpu } from '../gpu/node.ts';
import { useSubgroupMatrices } from '../kernels/matmulMatrices.ts';
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

/** Opens the adapter that was asked for, with the experimental features that were, and says so where it lacks them. */
export async function openAdapter(flags: GpuFlags, options: NodeOpenOptions = {}): Promise<NodeGpu> {
  const { adapter, experimental } = flags;
  const opened = await openGpu({ ...options, adapter, experimental });
  const isWanted = experimental?.includes('subgroup-matrix');
  if (isWanted && !useSubgroupMatrices(opened.gpu) && !flags.quiet) {
    process.stderr.write(
      'wgslim: --experimental subgroup-matrix changes nothing: the adapter has none that products can use\n',
    );
  }
  return opened;
}

/** Opens the adapter that was asked for, and gives it back whatever happens. */
export async function withGpu<T>(flags: GpuFlags, use: (gpu: Gpu) => Promise<T>): Promise<T> {
  const { gpu } = await openAdapter(flags);
  useTunedChoices(gpu);
  try {
    return await use(gpu);
  } finally {
    gpu.destroy();
  }
}
