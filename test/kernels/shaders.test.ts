import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { lengthsFirst } from '../../src/kernels/lengthsFirst.ts';
import type { Shader } from '../../src/kernels/shader.ts';
import { specialise } from '../../src/kernels/specialise.ts';
import { testGpu } from '../support/gpu.ts';
import { findRaces, type RaceSettings } from '../support/races.ts';

const root = fileURLToPath(new URL('../../src/kernels/generated', import.meta.url));
// What they have in common lies in a folder below.
const files = readdirSync(root)
  .filter((file) => file.endsWith('.ts'))
  .sort();
const shaders: Shader[] = [];
for (const file of files) {
  const module: Record<string, Shader> = await import(/* @vite-ignore */ join(root, file));
  shaders.push(...Object.values(module));
}

/** What `enable` in a shader asks of the device. */
const FEATURES: Readonly<Record<string, string>> = {
  f16: 'shader-f16',
  chromium_experimental_subgroup_matrix: 'chromium-experimental-subgroup-matrix',
};

describe('every shader compiles with its own tunables', () => {
  it.for(shaders.map((shader) => [shader.name, shader] as const))('%s', async ([, shader], { skip }) => {
    const gpu = await testGpu();
    const { features } = gpu.device;
    const missing = shader.features.filter((name) => !features.has((FEATURES[name] ?? name) as GPUFeatureName));
    if (missing.length > 0) skip(`the adapter lacks ${missing.join(' and ')}`);
    const program = specialise(shader);
    for (const code of [program.code, lengthsFirst(program.code)]) {
      const { pipeline } = await gpu.pipelines.compile({ ...program, code });
      expect(pipeline).toBeDefined();
    }
    gpu.throwIfLost();
  });
});

/** Settings for shaders that the detector's own (every integer argument 5) do not suit. */
const settings: Readonly<Record<string, RaceSettings>> = {
  // The first tile has three windows.
  'sparse/sparse_tiled': { tunables: { SETS: 1, HEIGHT: 8, ACROSS: 1 }, words: { weights: [0, 3] } },
  // It has up to four vectors.
  'matmul/matvec': { tunables: { SLICES: 4, VECTORS: 2 } },
  // No border before the first pixel, where there is no room for one.
  'int8/int8_conv_tiled': { args: { next_top: 0, next_left: 0 } },
};

// The detector knows neither subgroup operations nor f16.
const checked = shaders.filter(({ code, features }) => /var<workgroup>/.test(code) && features.length === 0);

describe('no shader races in workgroup memory', () => {
  it.each(checked.map((shader) => [shader.name, shader] as const))('%s', (name, shader) => {
    expect(findRaces(shader, settings[name])).toEqual([]);
    // The detector takes two atomic accesses for ordered, so that only plain ones can show a missing barrier.
    if (shader.code.includes('atomic')) return;
    const mutate = (code: string) => code.replaceAll('workgroupBarrier();', '');
    expect(findRaces(shader, { ...settings[name], mutate }).length, 'races without barriers').toBeGreaterThan(0);
  });

  it('is checked wherever a shader has workgroup memory', () => {
    expect(checked.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['matmul/matmul_tiled', 'reduce/reduce_sum', 'softmax/softmax']),
    );
  });
});
