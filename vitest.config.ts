import { spawnSync } from 'node:child_process';
import { defineConfig } from 'vitest/config';

// GPU tests run twice: on the adapter that the machine has (a GPU, or lavapipe with subgroups of 8 and f16) and on
// SwiftShader (subgroups of 4, 256 invocations, no f16). Where the first is SwiftShader itself, once is enough.
const common = { testTimeout: 300_000, hookTimeout: 300_000, pool: 'forks' as const };
const gpuTests = ['test/gpu/**/*.test.ts', 'test/kernels/**/*.test.ts', 'test/engine/**/*.test.ts'];
const hasOwnAdapter =
  process.env.WGSLIM_ADAPTER !== 'swiftshader' &&
  spawnSync(process.execPath, ['--import', 'tsx', 'scripts/has-adapter.ts']).status === 0;
const swiftshader = {
  test: { ...common, name: 'swiftshader', include: gpuTests, env: { WGSLIM_ADAPTER: 'swiftshader' } },
};

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...common, name: 'main', include: ['test/**/*.test.ts'] } },
      ...(hasOwnAdapter ? [swiftshader] : []),
    ],
  },
});
