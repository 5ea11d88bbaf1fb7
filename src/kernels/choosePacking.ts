import {
  ABOUT,
  bitsOf,
  type ChoiceAdapter,
  type Chooser,
  choosingDense,
  type LayerFacts,
  type PackingChoice,
  runsSparse,
} from './chooseDense.ts';
import { FEW_COLUMNS } from './denseWeights.ts';
import { chooseSparse, MARGIN } from './sparseChoice.ts';
import { findingPattern } from './sparsePattern.ts';
import { finish } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Time of float32 through that of the dense forms, measured on lavapipe: 3.5 to 6 for few columns, about 1 for many. */
const DENSE_GAIN = { few: 4, many: 1 };
/** The same of bytes times bytes. */
const INT8_GAIN = 1.6;
/** Of convolutions of 3 × 3 taps on CPU adapters: 1.2 of 16 channels to 2.3 of 64. */
const WINOGRAD_GAIN = 1.7;
/** Of strips, for kernels of other sizes. */
const STRIPS_GAIN = 1.4;

/**
 * Chooses the form from the adapter, the shapes and the numbers alone: int8 where both sides are quantized and its kernels
 * are faster (codes of 5 and 6 bits stay as they are rather than become bytes, unless speed is preferred), otherwise codes
 * that are unpacked in registers; a sparse form where enough weights are zero for it to be faster than that.
 */
export function choosePacking(adapter: ChoiceAdapter, matrix: WeightMatrix, facts: LayerFacts): PackingChoice {
  return finish(choosingPacking(adapter, matrix, facts));
}

export const choosingPacking: Chooser = function* (adapter, matrix, facts) {
  const dense = yield* choosingDense(adapter, matrix, facts);
  // Before the pattern is looked for, which takes longer than all else here.
  if (!runsSparse(adapter)) return dense;
  const few = facts.columns <= FEW_COLUMNS;
  const straight = adapter.kind === 'cpu' ? gainOfFloats(facts) : 1;
  const gainOf = {
    float: straight,
    int8: Math.max(INT8_GAIN, straight),
    dense: few ? DENSE_GAIN.few : DENSE_GAIN.many * straight,
  };
  const sparse = chooseSparse(adapter, { pattern: yield* findingPattern(matrix, facts), m: facts.columns });
  const { gain = 0, bytes = 0 } = sparse;
  if (sparse.form === 'dense' || gain < MARGIN * gainOf[dense.form]) return dense;
  const codes = (matrix.rows * matrix.k * (dense.form === 'float' ? 32 : bitsOf(matrix))) / 8;
  const takesMore = bytes > Math.min(codes, (facts.payload ?? codes) * ABOUT);
  return takesMore && facts.prefer !== 'speed' ? dense : (sparse as PackingChoice);
};

/** Float32's way takes about so much less time than the plain product, by which the gains of others are told. */
function gainOfFloats({ groups, taps }: LayerFacts): number {
  if (groups === 1 && taps === 9) return WINOGRAD_GAIN;
  return taps > 1 ? STRIPS_GAIN : 1;
}
