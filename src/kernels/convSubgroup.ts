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
    tunables: { ...product.tunables, ...subgroupTunables(variant) },
  });
}
