import type { MatrixConfig } from '../../src/gpu/experimental.ts';
import type { MatrixDevice } from '../../src/kernels/matmulMatrices.ts';

export const config = (component: 'f16' | 'f32', m: number, n: number, k: number): MatrixConfig => ({
  component,
  m,
  n,
  k,
});
/** The smallest product. */
export const ONE = { m: 1, n: 1, k: 1 };
/** Sizes as adapters are known to list them, and with three different lengths. */
export const F16 = [
  [16, 16, 16],
  [16, 8, 16],
  [16, 8, 8],
  [8, 16, 16],
  [8, 8, 8],
].map(([m, n, k]) => config('f16', m!, n!, k!));
export const F32 = [config('f32', 8, 8, 8), config('f32', 16, 8, 4)];
export const deviceWith = (...configs: MatrixConfig[]): MatrixDevice => ({ configs, lanes: 32, maxInvocations: 256 });
