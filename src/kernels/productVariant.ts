import type { Capabilities } from '../gpu/capabilities.ts';

/** What the choice of a product's variant depends on. */
export type Adapter = Pick<Capabilities, 'kind' | 'subgroupSize' | 'tuned' | 'precision' | 'matrices'>;

/** Rows of a tile by subgroups: what the shader of products has. */
export type TileRows = (typeof PRODUCT_ROWS)[number];

/**
 * How a product of m rows and n columns is cut into tiles.
 *
 * `subgroup`: one tile of `rows` x 4·subgroup per subgroup, without workgroup memory: for adapters that run on a CPU,
 * where a load costs as much as several multiply-adds. `tiled`: one tile of 4·tm x 4·tn per workgroup of tm·tn; `half`
 * multiplies in half precision (see shaders/matmul/matmul_tiled.wgsl).
 */
export type ProductVariant =
  | { kind: 'subgroup'; subgroup: number; rows: TileRows }
  | { kind: 'tiled'; tm: number; tn: number; half?: boolean };

type MatrixTunable =
  | `${'SUBGROUPS' | 'MATRICES'}_${'M' | 'N'}`
  | 'M'
  | 'N'
  | 'K'
  | 'LANES'
  | 'K_STEP'
  | 'PADDING'
  | 'STORING';

/** One tile of `rows` x `columns` per workgroup, by subgroup matrices; see matmulMatrices.ts. */
export interface MatrixVariant {
  kind: 'matrices';
  rows: number;
  columns: number;
  /** Of shaders/matrices/matmul_matrices.wgsl. */
  tunables: { readonly Component: 'f16' | 'f32' } & Readonly<Record<MatrixTunable, number>>;
}

/** One tile of `rows` x 16 per quad of a subgroup's lanes, for narrow matrices; the shader is that of `subgroup`. */
export interface QuadsVariant {
  kind: 'quads';
  rows: Exclude<TileRows, 1 | 32>;
}

/** Products of so few rows, or columns, may be computed as dot products. */
export const FEW_ROWS = 4;

/**
 * Terms from which on the rule may do so. On adapters that run on a CPU only where rows and columns both are few, or, unless
 * subgroups are SwiftShader's of four, where there is a single one of either.
 */
export function leastDotsTerms({ kind, subgroupSize = 0 }: Adapter, { m, n }: { m: number; n: number }): number {
  if (kind === 'gpu') return 128;
  return Math.max(m, n) <= FEW_ROWS || (Math.min(m, n) === 1 && subgroupSize >= 8) ? 512 : Number.POSITIVE_INFINITY;
}

/**
 * One tile of `rows` x `columns` per workgroup whose lanes, those of a subgroup or any, go along the terms; see matmulDots.ts.
 */
export interface DotsVariant {
  kind: 'dots';
  rows: 1 | 2 | 4;
  /** Eight for a single row by subgroups: each lane has its terms of the row once for all of them. */
  columns: 4 | 8;
  lanes: number;
  subgroup: boolean;
}

/** Whether a product has so few terms that subgroups may add them up all at once, or half of them. */
export function mayBeShallow({ kind, subgroupSize = 0 }: Adapter, { k }: { k: number }): boolean {
  return kind === 'cpu' && subgroupSize >= 4 && k > 0 && k <= 64;
}

/** `rows` x 4·subgroup of a product a turn, many turns per subgroup; see matmulShallow.ts. */
export interface ShallowVariant {
  kind: 'shallow';
  subgroup: number;
  rows: 1 | 2 | 4 | 8;
}

/** A tile of up to `most` x `most` per lane, many matrices per workgroup; see matmulSmall.ts. */
export interface SmallVariant {
  kind: 'small';
  most: 4 | 8;
}

/**
 * Whether a tile per lane may turn out to be the fastest: of several small matrices, or of long ones with few terms and few
 * rows or columns.
 */
export function mayBeSmall({ m, n, k, batches = 1 }: { m: number; n: number; k: number; batches?: number }): boolean {
  return (batches > 1 && Math.max(m, n) <= 32) || (Math.min(m, n) <= 8 && k <= 64 && Math.max(m, n) * batches >= 2000);
}

export interface TileCount<Variant = ProductVariant> {
  variant: Variant;
  tilesM: number;
  tilesN: number;
  /** Time in arbitrary units, to compare cuts of one adapter. */
  cost: number;
}

export const PRODUCT_ROWS = [32, 16, 12, 10, 8, 6, 5, 4, 2, 1] as const;
/** What all other shaders have. */
const ROWS: readonly TileRows[] = [16, 8, 4];
const TILES = [
  [16, 16],
  [8, 32],
  [4, 64],
  [32, 8],
] as const;
const SUBGROUPS = [4, 8, 16, 32, 64];

/**
 * The cheapest cut. A tile that hangs over the edge costs as much as a full one.
 * @param rows of a tile by subgroups, to choose from
 */
export function cutProduct(adapter: Adapter, m: number, n: number, rows?: readonly TileRows[]): TileCount {
  return productCuts(adapter, m, n, rows).reduce((best, cut) => (cut.cost < best.cost ? cut : best));
}

/** All cuts that the adapter can run. */
export function productCuts(adapter: Adapter, m: number, n: number, choice = ROWS): TileCount[] {
  const cuts: TileCount[] = [];
  const { subgroupSize } = adapter;
  if (adapter.kind === 'cpu' && subgroupSize !== undefined && SUBGROUPS.includes(subgroupSize)) {
    for (const rows of choice) {
      const tilesM = Math.ceil(m / rows);
      const variant = { kind: 'subgroup', subgroup: subgroupSize, rows } as const;
      const columns = columnsOf(variant);
      const tilesN = Math.ceil(n / columns);
      // Measured on lavapipe: the loads of four columns a lane cost about as much as the work of ten rows.
      const cost = ((tilesM * tilesN * columns) / (4 * subgroupSize)) * (rows + 10);
      // They may only be better than lower ones where all cores have some; SwiftShader's never are.
      if (rows > 16 && (subgroupSize < 8 || tilesM * tilesN < busyWorkgroups(adapter))) continue;
      cuts.push({ variant, tilesM, tilesN, cost });
    }
  } else {
    for (const [tm, tn] of TILES) {
      const tilesM = Math.ceil(m / (4 * tm));
      const tilesN = Math.ceil(n / (4 * tn));
      // Elongated tiles load more per multiply-add.
      const cost = tilesM * tilesN * (1 + (tm + tn) / 256);
      cuts.push({ variant: { kind: 'tiled', tm, tn }, tilesM, tilesN, cost });
    }
  }
  return cuts;
}

const QUAD_ROWS = PRODUCT_ROWS.filter((rows): rows is QuadsVariant['rows'] => rows > 1 && rows <= 16);
/** Columns of a tile by a quad: four a lane. */
export const QUAD_COLUMNS = 16;
/** Tiles of a subgroup of eight. */
export const QUADS = 2;

/**
 * Cuts into tiles by quads, two of which share a subgroup of eight. Measured on lavapipe: a subgroup takes 1.18 times as long
 * for two of them as for one tile of its own, since lanes hold twice as many rows.
 */
export function quadCuts(adapter: Adapter, m: number, n: number, batches: number): TileCount<QuadsVariant>[] {
  if (adapter.kind !== 'cpu' || adapter.subgroupSize !== 4 * QUADS) return [];
  return QUAD_ROWS.map((rows) => {
    const [tilesM, tilesN] = [Math.ceil(m / rows), Math.ceil(n / QUAD_COLUMNS)];
    const subgroups = Math.ceil((tilesM * tilesN * batches) / QUADS) / batches;
    return { variant: { kind: 'quads', rows }, tilesM, tilesN, cost: 1.18 * subgroups * (rows + 10) };
  });
}

/** Of a tile by subgroups; for eight a lane see TWICE in shaders/matmul/matmul_subgroup.wgsl. */
export function columnsOf({ subgroup, rows }: Extract<ProductVariant, { kind: 'subgroup' }>): number {
  return subgroup * (rows === 1 && subgroup === 4 ? 8 : 4);
}

/** The same cut, in half precision where its kernel has that. */
export function inHalf<Cut extends TileCount<{ kind: string }>>(cut: Cut): Cut {
  return cut.variant.kind === 'tiled' ? { ...cut, variant: { ...cut.variant, half: true } } : cut;
}

/** Products that are summed in half precision before they go into the sum in float32. */
const CHAIN = 4;

/** Of matmul_tiled; the other tiled kernels take the same and name their tiles on their own. */
export function tiledTunables({ tm, tn, half }: Extract<ProductVariant, { kind: 'tiled' }>) {
  return { TM: tm, TN: tn, ...(half && { CHAIN }) };
}

/** Of matmul_subgroup; the other kernels with tiles by subgroups take the same. */
export function subgroupTunables(variant: Extract<ProductVariant, { kind: 'subgroup' }>) {
  return { SUBGROUP: variant.subgroup, ROWS: Math.min(variant.rows, 16) };
}

/** Workgroups that keep an adapter busy: few for the cores of a CPU, many for a GPU. */
export function busyWorkgroups(adapter: Adapter): number {
  return adapter.kind === 'cpu' ? 16 : 256;
}

/**
 * Cuts a sum of `length` terms into equal shares (multiples of `granule`, at least `least`), as many as it takes to keep
 * the adapter busy with `tiles` tiles. Depends on nothing that changes between runs, so results stay the same.
 */
export function splitSum(
  adapter: Adapter,
  { tiles, length, granule, least }: { tiles: number; length: number; granule: number; least: number },
): { splits: number; share: number } {
  const wanted = Math.max(1, Math.min(Math.ceil(busyWorkgroups(adapter) / tiles), Math.floor(length / least)));
  const share = Math.max(granule, Math.ceil(length / wanted / granule) * granule);
  return { splits: Math.max(1, Math.ceil(length / share)), share };
}
