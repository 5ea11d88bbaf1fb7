import type { ConvPlan, ConvVariant, ValidConv } from './convCall.ts';
import { convSubgroupShader } from './generated/processor.ts';
import type { Recorder } from './kernel.ts';
import { subgroupTunables } from './productVariant.ts';
import { convProduct } from './validConv.ts';

/** A convolution as an implicit product, a tile per subgroup: for adapters that run on a CPU. */
export function subgroupConv(
  recorder: Recorder,
  call: ValidConv,
  variant: Extract<ConvVariant, { kind: 'subgroup' }>,
  tiles: Pick<ConvPlan, 'tilesM' | 'tilesN'>,
): void {
  const product = convProduct(call, tiles);
  recorder.dispatch(convSubgroupShader, {
    ...product,
    operands: { ...product.operands, x4: call.x },
    tunables: { ...product.tunables, ...subgroupTunables(variant), VECTORS: readsVectors(call) },
  });
}

/** Whether four taps from a multiple of four on are an aligned vec4 of x, at every place of the output. */
function readsVectors({ groups, groupIn, kh, kw, oh, ow, xAt }: ValidConv): boolean {
  const isDense = groups === 1 && kh === 1 && kw === 1 && oh === 1 && ow === 1;
  return isDense && xAt.channel === 1 && [groupIn, xAt.offset, xAt.image].every((length) => length % 4 === 0);
}
