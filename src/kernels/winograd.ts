import type { ValidConv } from './convCall.ts';
import { bindWeights } from './denseWeights.ts';
import {
  winogradInputShader,
  winogradOutputShader,
  winogradSubgroupShader,
  winogradWeightsShader,
} from './generated/winograd.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { matmul } from './matmul.ts';
import { cutProduct, subgroupTunables } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { spread } from './spread.ts';
import { areConstant, POSITIONS, transformedPlane } from './winogradChoice.ts';

/** Bytes of transformed input at a time: what stays in a processor's cache, and what a GPU can spare. */
const CHUNK_BYTES = { cpu: 4 << 20, gpu: 64 << 20 };

/**
 * A convolution of 3 × 3 taps with stride 1 in 2.25 times fewer multiplications than its definition: Winograd's
 * F(2 × 2, 3 × 3). Tiles of 4 × 4 pixels and the kernels are transformed, multiplied position by position (16 matrix
 * products over the channels), and transformed back to 2 × 2 pixels. A NaN or an infinity among the pixels of a tile
 * reaches all four pixels computed of it. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
 */
export function winogradConv(recorder: Recorder, call: ValidConv): void {
  const { capabilities } = recorder;
  const { x, bias, residual, out, images, groupOut: m, groupIn: k, oh, ow, xAt, outAt, label } = call;
  const tilesX = Math.ceil(ow / 2);
  const planeTiles = tilesX * Math.ceil(oh / 2);
  const row = 4 * Math.ceil(k / 4);
  const weights = bindWeights(call.weights, { rows: m, k: 9 * k, offset: call.weightsOffset });
  const ofKernels = spread(capabilities, m * row);
  const transform = (out: Operand<'f32'>, to: Recorder) =>
    to.dispatch(winogradWeightsShader, {
      operands: { weights: weights.operand, out },
      args: { size: m * row, span: ofKernels.span, k, row, ...weights.args },
      tunables: { ...weights.tunables, WG: ofKernels.wg },
      workgroups: ofKernels.workgroups,
      label: `${label}: weights' transform`,
    });
  let kernels: Operand<'f32'>;
  if (areConstant(recorder, call)) {
    kernels = recorder.once!(call.weights as Operand, `transformed ${m} x ${k}`, POSITIONS * m * row, transform);
  } else {
    kernels = recorder.temporary('f32', POSITIONS * m * row, `${label}: transformed weights`);
    transform(kernels, recorder);
  }
  const imageBytes = 4 * Math.max(m, k) * transformedPlane({ oh, ow });
  const chunk = Math.min(images, Math.max(1, Math.floor(CHUNK_BYTES[capabilities.kind] / imageBytes)));
  const most = POSITIONS * 4 * Math.ceil((chunk * planeTiles) / 4);
  const transformed = recorder.temporary('f32', k * most, `${label}: transformed input`);
  for (let image = 0; image < images; image += chunk) {
    const tiles = Math.min(chunk, images - image) * planeTiles;
    const quads = Math.ceil(tiles / 4);
    const columns = 4 * quads;
    const places = { quads, tiles, tiles_x: tilesX, plane_tiles: planeTiles };
    const ofInput = spread(capabilities, k * quads);
    recorder.dispatch(winogradInputShader, {
      operands: { x, out: transformed },
      args: {
        ...places,
        size: k * quads,
        span: ofInput.span,
        last_y: oh + 1,
        last_x: ow + 1,
        x_offset: xAt.offset + image * xAt.image,
        x_image: xAt.image,
        x_channel: xAt.channel,
        x_row: xAt.oy,
      },
      tunables: { WG: ofInput.wg, STRIP: tilesX % 4 === 0 },
      workgroups: ofInput.workgroups,
      label: `${label}: input's transform`,
    });
    const ofOutput = spread(capabilities, m * quads);
    const { variant, tilesM, tilesN } = cutProduct(capabilities, m, columns);
    const args = {
      ...places,
      m,
      k,
      size: m * quads,
      span: ofOutput.span,
      tiles_m: tilesM,
      oh,
      ow,
      out_offset: outAt.offset + image * outAt.image,
      out_image: outAt.image,
      out_channel: outAt.channel,
      out_row: outAt.oy,
      bias: bias ? 1 : 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    };
    const work = { flops: 2 * m * k * columns * POSITIONS };
    const RESIDUAL = residual !== undefined;
    if (variant.kind === 'subgroup') {
      recorder.dispatch(winogradSubgroupShader, {
        operands: { bias: bias ?? kernels, residual: residual ?? kernels, out, kernels, x: transformed },
        args,
        tunables: { ...subgroupTunables(variant), RESIDUAL },
        workgroups: grid(tilesM * tilesN, 1),
        work,
        label,
      });
      continue;
    }
    const products = recorder.temporary('f32', POSITIONS * m * columns, `${label}: products`);
    matmul(recorder, {
      m,
      n: columns,
      k,
      batches: POSITIONS,
      a: { operand: kernels, rowStride: row, columnStride: 1, batchStride: m * row },
      b: { operand: transformed, rowStride: columns, columnStride: 1, batchStride: k * columns },
      out: { operand: products, rowStride: columns, columnStride: 1, batchStride: m * columns },
      label: `${label}: products`,
    });
    recorder.dispatch(winogradOutputShader, {
      operands: { bias: bias ?? products, residual: residual ?? products, out, products },
      args,
      tunables: { WG: ofOutput.wg, RESIDUAL },
      workgroups: ofOutput.workgroups,
      label: `${label}: output's transform`,
    });
  }
}
