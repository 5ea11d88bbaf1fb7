import { afterAll } from 'vitest';
import type { Gpu, OpenOptions } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';

let opened: Promise<Gpu> | undefined;

/** One device per test file, on the adapter that the test project asks for (WGSLIM_ADAPTER). */
export function testGpu(): Promise<Gpu> {
  if (!opened) {
    opened = openGpu().then(({ gpu }) => gpu);
    afterAll(async () => {
      (await opened)?.destroy();
      opened = undefined;
    });
  }
  return opened;
}

/** A device of its own, with features left off: for the fallbacks. */
export async function openWithout(without: OpenOptions['without']): Promise<Gpu> {
  return (await openGpu({ without })).gpu;
}
