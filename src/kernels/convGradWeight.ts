import { padInput } from './conv.ts';
import { type ConvShape, weightElements } from './convShape.ts';
import {
  convGradWeightDirectShader,
  convGradWeightSubgroupShader,
  convGradWeightTiledShader,
} from './generated/conv.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PaddedPlanes } from './padPlanes.ts';
import {
  type Adapter,
  busyWorkgroups,
  cutProduct,
  splitSum,
  subgroupTunables,
  type TileCount,
} from './productVariant.ts';
import { reduceSplits } from './reduceSplits.ts';

export type GradWeightPlan =
  | { kind: 'direct'; splits: number; splitImages: number }
  | ({
      kind: 'product';
      /** Pixels of a chunk, chunks of an image, chunks that one split sums. */
      chunk: number;
      chunks: number;
      splitChunks: number;
      splits: number;
    } & TileCount);

const DIRECT_WG = 64;

/** Variant, tiles and split of a weight gradient, from the adapter, its measured choices and the shape alone. */
export function planGradWeight(adapter: Adapter, shape: ConvShape): GradWeightPlan {
  const tuned = adapter.tuned?.choose<GradWeightPlan>('gradient', adapter, shape);
  if (tuned) return tuned;
  const { ic, oc, kh, kw, groups } = shape;
  if (groups > 1 && oc / groups < 4) return directGradWeight(adapter, shape);
  return productGradWeight(adapter, shape, cutProduct(adapter, oc / groups, (ic / groups) * kh * kw));
}

export function directGradWeight(adapter: Adapter, shape: ConvShape): GradWeightPlan {
  const tiles = Math.ceil(weightElements(shape) / DIRECT_WG);
  const { splits, share } = splitSum(adapter, { tiles, length: shape.n, granule: 1, least: 1 });
  return { kind: 'direct', splits, splitImages: share };
}

/** @param parts how many times as many parts as keep the adapter busy by rule */
export function productGradWeight(
  adapter: Adapter,
  { n, oh, ow, groups }: ConvShape,
  cut: TileCount,
  parts = 1,
): GradWeightPlan {
  // As if there were fewer tiles to keep it busy with.
  const tiles = (cut.tilesM * cut.tilesN * groups) / parts;
  // Whole images where the batch has enough of them to keep the adapter busy, parts of images otherwise.
  const pixels = oh * ow;
  const wanted = Math.max(1, Math.ceil(busyWorkgroups(adapter) / tiles / n));
  const { splits: chunks, share: chunk } =
    wanted > 1 && pixels >= 512
      ? splitPixels(pixels, Math.min(wanted, Math.floor(pixels / 256)))
      : { splits: 1, share: pixels };
  const { splits, share } = splitSum(adapter, { tiles, length: n * chunks, granule: 1, least: 1 });
  return { ...cut, kind: 'product', chunk, chunks, splitChunks: share, splits };
}

function splitPixels(pixels: number, wanted: number): { splits: number; share: number } {
  const share = Math.ceil(pixels / wanted / 16) * 16;
  return { splits: Math.ceil(pixels / share), share };
}

/** dw = the gradient of ONNX Conv by its weights [oc, ic / groups, kh, kw]. Sums in a fixed order. */
export function convGradWeight(
  recorder: Recorder,
  call: {
    x: Operand<'f32'>;
    /** x after `padInput`, where the forward pass has kept it. */
    padded?: PaddedPlanes | undefined;
    dy: Operand<'f32'>;
    dw: Operand<'f32'>;
    shape: ConvShape;
  },
): void {
  const { x, dy, dw, shape } = call;
  const { n, ic, oc, oh, ow, kw, kh, groups } = shape;
  if (dw.elements === 0) return;
  const plan = planGradWeight(recorder.capabilities, shape);
  const padded = call.padded ?? padInput(recorder, x, shape);
  const plane = padded.h * padded.w;
  const { splits } = plan;
  const out = splits === 1 ? dw : recorder.temporary('f32', splits * dw.elements, 'weight gradient, parts');
  const label = splits === 1 ? 'weight gradient' : `weight gradient, ${splits} splits`;
  const operands = { x: padded.operand, grad: dy, out };
  const places = {
    kw,
    khw: kh * kw,
    x_channel: plane,
    x_ky: shape.dilH * padded.w,
    x_kx: shape.dilW,
    x_image: ic * plane,
    x_oy: shape.strideH * padded.w,
    x_ox: shape.strideW,
    ow,
    grad_image: oc * oh * ow,
    splits,
  };
  const work = { flops: 2 * n * oh * ow * dw.elements };
  if (plan.kind === 'direct') {
    const weights = dw.elements;
    recorder.dispatch(convGradWeightDirectShader, {
      operands,
      args: {
        ...places,
        weights,
        group_oc: oc / groups,
        group_ic: ic / groups,
        oh,
        images: n,
        split_images: plan.splitImages,
      },
      tunables: { WG: DIRECT_WG },
      workgroups: grid(weights * splits, DIRECT_WG),
      work,
      label,
    });
  } else {
    const { tilesM, tilesN, variant, chunk, chunks } = plan;
    const args = {
      ...places,
      m: oc / groups,
      n: (ic / groups) * kh * kw,
      x_group: (ic / groups) * plane,
      ohw: oh * ow,
      chunk,
      chunks,
      all_chunks: n * chunks,
      split_chunks: plan.splitChunks,
      out_split: dw.elements,
      tiles_m: tilesM,
      group_workgroups: tilesM * tilesN,
      groups,
    };
    const shared = { operands, args, workgroups: grid(tilesM * tilesN * splits * groups, 1), work, label };
    if (variant.kind === 'subgroup') {
      recorder.dispatch(convGradWeightSubgroupShader, {
        ...shared,
        operands: { ...operands, grad4: dy },
        tunables: { ...subgroupTunables(variant), VECTOR: (oh * ow) % 4 === 0 },
      });
    } else {
      recorder.dispatch(convGradWeightTiledShader, { ...shared, tunables: { TM: variant.tm, TN: variant.tn } });
    }
  }
  if (splits > 1) reduceSplits(recorder, { parts: out, out: dw, splits, label: 'weight gradient: sum of splits' });
}
