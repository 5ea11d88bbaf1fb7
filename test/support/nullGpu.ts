import { afterAll } from 'vitest';
import { create, globals } from 'webgpu';
import { type Experimental, featuresWith } from '../../src/gpu/experimental.ts';
import { Gpu } from '../../src/gpu/gpu.ts';

/** A device of Dawn's null backend, which checks and compiles everything and runs nothing, with experimental features. */
export async function nullGpu(experimental: readonly Experimental[] = ['subgroup-matrix']): Promise<Gpu> {
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  let entry: GPU | undefined = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const gpu = await Gpu.open(entry, { features: featuresWith(experimental) });
  afterAll(() => {
    gpu.destroy();
    // A device dies with its instance, which has to be held for so long.
    entry = undefined;
  });
  return gpu;
}
