/**
 * Products by subgroup matrices, which WebGPU has as an experiment: only where somebody asks for them, so that pages do
 * not load them. Tiles and rule are guesses: no adapter with such units was at hand.
 */
import { type MatrixConfig, readMatrixConfigs } from '../gpu/experimental.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { matmulMatricesShader } from './generated/matrices.ts';
import { LEAST_SHARE, type MatmulCut, type ProductShape } from './matmul.ts';
import { type Adapter, busyWorkgroups, type MatrixVariant } from './productVariant.ts';

/** What tiles depend on. */
export interface MatrixDevice {
  configs: readonly MatrixConfig[];
  /** The largest size that a subgroup may have. */
  lanes: number;
  maxInvocations: number;
}

/** Subgroups of a workgroup along rows and columns, and the rows and columns of the result that each keeps. */
const TILES = [
  [2, 2, 32, 32],
  [1, 4, 32, 32],
  [4, 1, 32, 32],
  [2, 2, 32, 64],
  [2, 4, 64, 32],
] as const;

/** What every device has. Workgroups that take more leave a compute unit with fewer of them. */
const MOST_MEMORY = 16384;
const ALIGNMENT = 16;
const BYTES = { f16: 2, f32: 4 } as const;

/**
 * Lets the products of a `Gpu` be computed by subgroup matrices, if its device was opened with them (`experimental`, or
 * `features`) and lists sizes that can be used.
 * @returns whether it does
 */
export function useSubgroupMatrices({ device, capabilities }: Gpu): boolean {
  const configs = readMatrixConfigs(device);
  const lanes = device.adapterInfo?.subgroupMaxSize ?? 0;
  const { maxInvocations } = capabilities;
  const products = matrixProducts({ configs, lanes, maxInvocations });
  const isUsable = products.cuts({ m: 1, n: 1, k: 1, half: true }).length > 0;
  capabilities.matrices = isUsable ? products : undefined;
  return isUsable;
}

export function matrixProducts(device: MatrixDevice): NonNullable<Adapter['matrices']> {
  return {
    shader: matmulMatricesShader,
    choose: <Cut>(adapter: Pick<Adapter, 'kind' | 'subgroupSize'>, shape: object) =>
      chooseCut(device, adapter, shape as ProductShape) as Cut | undefined,
    cuts: <Cut>(shape: object) => matrixCuts(device, shape as ProductShape) as Cut[],
  };
}

/**
 * The cheapest cut. Not where subgroups vary in size: of a workgroup for the largest ones, smaller ones leave a part idle,
 * and only a measurement can tell. Nor below one matrix, of which most would be zeros.
 */
function chooseCut(
  device: MatrixDevice,
  { kind, subgroupSize }: Pick<Adapter, 'kind' | 'subgroupSize'>,
  shape: ProductShape,
): MatmulCut | undefined {
  if (kind !== 'gpu' || subgroupSize === undefined || Math.min(shape.m, shape.n, shape.k) < 16) return undefined;
  // Sums of a part of the terms need a result without gaps.
  if (shape.contiguous === false) return undefined;
  const cuts = matrixCuts(device, shape);
  const { Component } = cuts[0]?.variant.tunables ?? {};
  // Half precision before float32, where both can be had.
  const best = cuts.filter(({ variant }) => variant.tunables.Component === Component);
  return best.length > 0 ? best.reduce((least, cut) => (cut.cost < least.cost ? cut : least)) : undefined;
}

/** Of half precision first, where that will do. */
export function matrixCuts(device: MatrixDevice, { m, n, k, batches = 1, half }: ProductShape): TileOfMatrices[] {
  const components = half ? (['f16', 'f32'] as const) : (['f32'] as const);
  return components.flatMap((component) =>
    TILES.flatMap((tile) => {
      const variant = variantOf(device, component, tile);
      if (!variant) return [];
      const { rows, columns } = variant;
      const [tilesM, tilesN] = [Math.ceil(m / rows), Math.ceil(n / columns)];
      // A number that is loaded takes as long as 64 products.
      const work = tilesM * tilesN * (rows * columns + 64 * (rows + columns));
      // With the parts that the sum can be split into; fewer than a quarter of what keeps a GPU busy leave it idle.
      const parts = tilesM * tilesN * batches * Math.max(1, Math.floor(k / LEAST_SHARE));
      const cost = work * Math.max(1, busyWorkgroups({ kind: 'gpu' }) / 4 / parts);
      return [{ variant, tilesM, tilesN, cost }];
    }),
  );
}

type TileOfMatrices = MatmulCut & { variant: MatrixVariant };

function variantOf(
  { configs, lanes, maxInvocations }: MatrixDevice,
  component: 'f16' | 'f32',
  [subgroupsM, subgroupsN, height, width]: (typeof TILES)[number],
): MatrixVariant | undefined {
  const subgroups = subgroupsM * subgroupsN;
  if (lanes < 1 || subgroups * lanes > maxInvocations) return undefined;
  const fitting = configs.filter((c) => c.component === component && height % c.m === 0 && width % c.n === 0);
  const [config] = fitting.sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
  if (!config) return undefined;
  const { m, n, k } = config;
  const [rows, columns] = [subgroupsM * height, subgroupsN * width];
  const padding = ALIGNMENT / BYTES[component];
  const storing = Math.min(4, subgroups);
  const memory = (step: number) =>
    BYTES[component] * (rows * (step + padding) + step * (columns + padding)) + 4 * storing * m * n;
  const step = [32, 16, 8].find((length) => length % k === 0 && memory(length) <= MOST_MEMORY);
  if (step === undefined) return undefined;
  const tunables = {
    ...{ Component: component, M: m, N: n, K: k, LANES: lanes },
    ...{ SUBGROUPS_M: subgroupsM, SUBGROUPS_N: subgroupsN, MATRICES_M: height / m, MATRICES_N: width / n },
    ...{ K_STEP: step, PADDING: padding, STORING: storing },
  };
  return { kind: 'matrices', rows, columns, tunables };
}
