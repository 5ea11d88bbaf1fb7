import { describe, expect, it } from 'vitest';
import { featuresWith, readMatrixConfigs } from '../../src/gpu/experimental.ts';
import { WANTED_FEATURES } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { nullGpu } from '../support/nullGpu.ts';

const FEATURE = 'chromium-experimental-subgroup-matrix';

describe('experimental features', () => {
  it('are asked for by name alone', () => {
    expect(featuresWith([])).toEqual(WANTED_FEATURES);
    expect(featuresWith(['subgroup-matrix'])).toEqual([...WANTED_FEATURES, FEATURE]);
  });

  it('of other names are refused, in Node too', async () => {
    const names = ['tensor-cores'] as never[];
    expect(() => featuresWith(names)).toThrow("no experimental feature 'tensor-cores'; there is subgroup-matrix");
    await expect(openGpu({ experimental: names })).rejects.toThrow("'tensor-cores'");
  });

  it('are taken where the adapter has them', async ({ skip }) => {
    const [plain, asked] = [await nullGpu([]), await nullGpu(['subgroup-matrix'])];
    expect(plain.device.features.has(FEATURE as GPUFeatureName)).toBe(false);
    if (!asked.device.features.has(FEATURE as GPUFeatureName)) skip('the null backend has no subgroup matrices');
    expect(asked.capabilities).toEqual(plain.capabilities);
  });

  it('change nothing of an adapter without them', async ({ skip }) => {
    const { gpu } = await openGpu({ experimental: ['subgroup-matrix'] });
    const { gpu: plain } = await openGpu();
    try {
      if (gpu.device.features.has(FEATURE as GPUFeatureName)) skip('the adapter has them');
      expect(gpu.capabilities).toEqual(plain.capabilities);
      expect([...gpu.device.features].sort()).toEqual([...plain.device.features].sort());
      expect(readMatrixConfigs(gpu.device)).toEqual([]);
    } finally {
      gpu.destroy();
      plain.destroy();
    }
  });
});

describe('sizes of subgroup matrices', () => {
  const listed = (componentType: string, resultComponentType: string, M = 16, N = 8, K = 4) => {
    return { componentType, resultComponentType, M, N, K };
  };
  const configs = [
    listed('f16', 'f32'),
    listed('f16', 'f16'),
    listed('f32', 'f32', 8, 8, 8),
    listed('u8', 'u32'),
    listed('i8', 'i32'),
  ];
  const read = (features: string[], subgroupMatrixConfigs: unknown = configs) =>
    readMatrixConfigs({ features: new Set(features), adapterInfo: { subgroupMatrixConfigs } } as never);
  const halves = { component: 'f16', m: 16, n: 8, k: 4 };
  const floats = { component: 'f32', m: 8, n: 8, k: 8 };

  it.each([
    ['those with sums in float32', [FEATURE, 'subgroups', 'shader-f16'], [halves, floats]],
    ['none of half precision without it', [FEATURE, 'subgroups'], [floats]],
    ['none without subgroups', [FEATURE, 'shader-f16'], []],
    ['none of a device that was opened without', ['subgroups', 'shader-f16'], []],
  ])('%s', (_, features, expected) => expect(read(features)).toEqual(expected));

  it('none where the adapter lists none', () => {
    const all = [FEATURE, 'subgroups', 'shader-f16'];
    expect(read(all, [])).toEqual([]);
    expect(readMatrixConfigs({ features: new Set(all), adapterInfo: {} } as never)).toEqual([]);
    expect(readMatrixConfigs({ features: new Set(all) } as never)).toEqual([]);
  });
});
