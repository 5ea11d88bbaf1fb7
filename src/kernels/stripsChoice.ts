import { areCodes, type ConvGeometry, type FloatConvPlan, STRIPS } from './convCall.ts';
import { type Adapter, cutProduct } from './productVariant.ts';

export interface StripTiles {
  subgroup: number;
  /** Output channels of a tile. */
  rows: number;
  /** Quads of pixels per lane. */
  quads: 1 | 2;
  tilesM: number;
  tilesN: number;
  /** Quads of pixels in the batch. */
  columns: number;
  /** Time of all input channels, in `cutProduct`'s unit: of four taps. */
  cost: number;
}

const LARGEST_KERNEL = 8;
const ROWS = [16, 14, 12, 10, 8, 6, 4, 2];
/** In `cutProduct`'s unit, as measured on lavapipe (subgroups of 8) and SwiftShader (4): what a load takes, four taps of a row, ... */
const costsOf = (subgroup: number) => (subgroup < 8 ? { load: 0.3, taps: 0.6 } : { load: 0.1, taps: 1 });
/** ... and what a tile of either kernel takes that has no taps. */
const TILE = 60;

/** Neighbouring taps see neighbouring pixels, as neighbouring outputs do, of which a row has at least a quad. */
export function suitsStrips({ kh, kw, ow, xAt }: ConvGeometry): boolean {
  return kw > 1 && kw <= LARGEST_KERNEL && kh <= LARGEST_KERNEL && ow >= 4 && xAt.kx === 1 && xAt.ox === 1;
}

/** Whether strips begin, and all distances between them are, at whole vectors. */
export function isAligned({ offset, image, channel, ky, oy }: ConvGeometry['xAt']): boolean {
  return [offset, image, channel, ky, oy].every((distance) => distance % 4 === 0);
}

/** The cheapest cut into tiles of strips; undefined where the kernel does not do this convolution or the adapter is no CPU. */
export function stripTiles(adapter: Adapter, geometry: ConvGeometry): StripTiles | undefined {
  const { images, groupOut: m, groupIn: k, kh, kw, oh, ow } = geometry;
  const straight = cutProduct(adapter, m, images * oh * ow);
  if (!suitsStrips(geometry) || straight.variant.kind !== 'subgroup') return undefined;
  const { subgroup } = straight.variant;
  const { load, taps } = costsOf(subgroup);
  const columns = images * oh * Math.ceil(ow / 4);
  let best: StripTiles | undefined;
  for (const rows of ROWS) {
    // A row takes a lane of a register that holds weights; with more registers than two, loads of weights prevail.
    if (rows > 2 * subgroup) continue;
    for (const quads of [1, 2] as const) {
      // Two quads share the loads of weights. With fewer rows of fewer columns that was slower all the same.
      if (quads === 2 && (rows > 8 || (rows < 8 && kw < 5))) continue;
      const tilesM = Math.ceil(m / rows);
      const tilesN = Math.ceil(columns / (quads * subgroup));
      const loads = quads * (kw + 3) + Math.ceil(rows / subgroup) * kw;
      const cost = tilesM * tilesN * (k * kh * (load * loads + (taps * quads * rows * kw) / 4) + quads * TILE);
      if (!best || cost < best.cost) best = { subgroup, rows, quads, tilesM, tilesN, columns, cost };
    }
  }
  return best;
}

/**
 * Multiplications and additions from which a longer compilation pays on SwiftShader: 70 ms for strips of three taps, 180
 * for those of five, 100 for Winograd's three kernels. A page that classifies an image now and then would not get it back.
 */
const LONG_RUN = 8e6;

/** Whether a run takes long enough to earn a kernel that takes long to compile. */
export function isLongRun({ images, groups, groupOut, groupIn, kh, kw, oh, ow }: ConvGeometry): boolean {
  return 2 * images * oh * ow * groups * groupOut * groupIn * kh * kw >= LONG_RUN;
}

/** Whether strips take less time than the implicit product of any pixels. */
export function areStripsFaster(adapter: Adapter, geometry: ConvGeometry): boolean {
  const { images, groups, groupOut: m, groupIn: k, kh, kw, oh, ow } = geometry;
  const tiles = stripTiles(adapter, geometry);
  if (tiles === undefined || (groups > 1 && m < 4)) return false;
  // Strips unpack weight by weight, which takes ten times a load there: with more channels than one, 1.1 to 1.5 times as long.
  if (tiles.subgroup < 8 && ((k > 1 && areCodes(geometry.weights)) || !isLongRun(geometry))) return false;
  const straight = cutProduct(adapter, m, images * oh * ow);
  const { tilesM, tilesN, cost } = straight;
  return tiles.cost < Math.ceil((k * kh * kw) / 4) * cost + TILE * tilesM * tilesN;
}

/** Whether to take strips: as measured, or by the rule. */
export function takesStrips(adapter: Adapter, geometry: ConvGeometry, tuned: FloatConvPlan | undefined): boolean {
  const { weights } = geometry;
  if (tuned === undefined) {
    // Scales of groups would be looked up for every tap: strips take 1.1 to 1.2 times as long then, by measurement.
    const isGrouped = areCodes(weights) && weights.group < weights.k;
    return !isGrouped && areStripsFaster(adapter, geometry);
  }
  return tuned === STRIPS && stripTiles(adapter, geometry) !== undefined;
}
