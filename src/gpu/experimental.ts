/** Features that WebGPU has not settled: taken only where somebody asks for them. */
import { GpuError } from './errors.ts';
import { WANTED_FEATURES } from './gpu.ts';

const FEATURES = { 'subgroup-matrix': 'chromium-experimental-subgroup-matrix' } as const;

/** The names that options give them. */
export type Experimental = keyof typeof FEATURES;
export const EXPERIMENTAL = Object.keys(FEATURES) as Experimental[];

/** What `OpenOptions.features` may be, to take these too. */
export function featuresWith(names: readonly Experimental[]): GPUFeatureName[] {
  const features = names.map((name) => {
    const feature = FEATURES[name] as string | undefined;
    if (!feature) throw new GpuError(`There is no experimental feature '${name}'; there is ${EXPERIMENTAL.join(', ')}`);
    return feature as GPUFeatureName;
  });
  return [...WANTED_FEATURES, ...features];
}

/** Products of m × k by k × n matrices that a subgroup computes at once, with sums in float32. */
export interface MatrixConfig {
  /** What is multiplied. */
  component: 'f16' | 'f32';
  m: number;
  n: number;
  k: number;
}

/** As the adapter lists them in `GPUAdapterInfo.subgroupMatrixConfigs`. */
interface ListedConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** Those that products can use; none of a device that was opened without them. */
export function readMatrixConfigs(device: Pick<GPUDevice, 'features' | 'adapterInfo'>): MatrixConfig[] {
  const has = (feature: string) => device.features.has(feature as GPUFeatureName);
  if (!has(FEATURES['subgroup-matrix']) || !has('subgroups')) return [];
  const { subgroupMatrixConfigs = [] } = (device.adapterInfo ?? {}) as {
    subgroupMatrixConfigs?: readonly ListedConfig[];
  };
  return [...subgroupMatrixConfigs].flatMap(({ componentType: component, resultComponentType, M: m, N: n, K: k }) => {
    if (resultComponentType !== 'f32') return [];
    if (component === 'f32' || (component === 'f16' && has('shader-f16'))) return [{ component, m, n, k }];
    return [];
  });
}
