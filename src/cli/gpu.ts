import type { Gpu } from '../gpu/gpu.ts';
import { openGpu } from '../gpu/node.ts';
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

/** Opens the adapter that was asked for, and gives it back whatever happens. */
export async function withGpu<T>(flags: GpuFlags, use: (gpu: Gpu) => Promise<T>): Promise<T> {
  const { gpu } = await openGpu({ adapter: flags.adapter });
  try {
    return await use(gpu);
  } finally {
    gpu.destroy();
  }
}
