import { matmulSubgroupShader } from './generated/subgroup.ts';
import { grid } from './kernel.ts';
import {
  inParts,
  inWholeVectors,
  isBySubgroups,
  isPlain,
  type ProductAlternatives,
  planProduct,
  productDispatch,
  type SubgroupPlan,
  transpose,
} from './matmul.ts';
import { QUADS, subgroupTunables } from './productVariant.ts';

/**
 * Products in tiles by subgroups, without workgroup memory: for adapters that run on a CPU, where they are all products that
 * nothing else is faster for. A module of its own, so that pages on a GPU do without.
 */
export const matmulSubgroup: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const { capabilities } = recorder;
  const plan = planProduct(capabilities, shape, tuned);
  if (!isBySubgroups(plan)) return false;
  const { variant } = plan;
  inParts(recorder, plan.splits, whole, (part, outSplit) => {
    const { call, shared } = productDispatch(part, plan, outSplit);
    const { n, k, batches = 1, a, b } = call;
    const VECTOR_A = inWholeVectors(a, batches);
    const VECTOR_B = n % 4 === 0 && inWholeVectors(b, batches);
    // The stride of a single column is never used.
    const COLUMNS_B = !VECTOR_B && inWholeVectors(transpose(n === 1 ? { ...b, columnStride: 0 } : b), batches);
    const SHIFTED_A = !VECTOR_A && a.columnStride === 1;
    const SHIFTED_B = !(VECTOR_B || COLUMNS_B) && b.rowStride === 1;
    const tile =
      variant.kind === 'quads' ? { SUBGROUP: 4, TILES: QUADS, ROWS: variant.rows } : subgroupTunables(variant);
    recorder.dispatch(matmulSubgroupShader, {
      ...shared,
      ...(variant.kind === 'quads' && sharedSubgroups(plan, shared.args)),
      operands: { ...shared.operands, a4: a.operand, b4: b.operand },
      tunables: {
        ...tile,
        STACKED: variant.rows > 16,
        VECTOR_A,
        VECTOR_B,
        COLUMNS_B,
        // lavapipe does nothing for lanes that need it not, and without the code for last terms and for a bias its main loop is
        // up to 15 % slower. SwiftShader takes 1.3 times as long for what is shifted.
        ...(capabilities.subgroupSize === 4
          ? { RAGGED: k % 4 > 0, PLAIN: isPlain(call) }
          : { SHIFTED_A, SHIFTED_B, HANGS_OVER: !(COLUMNS_B || SHIFTED_B) && n % (4 * tile.SUBGROUP) > 0 }),
      },
    });
  });
  return true;
};

/** Where tiles share subgroups, a plane is one split of all products. */
function sharedSubgroups<Args extends { batches: number }>({ tilesM, tilesN, splits }: SubgroupPlan, args: Args) {
  const plane_groups = Math.ceil((tilesM * tilesN * args.batches) / QUADS);
  return { args: { ...args, plane_groups }, workgroups: grid(plane_groups * splits, 1) };
}
