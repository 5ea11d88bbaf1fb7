import { canPackDense } from './denseWeights.ts';
import { type Int8Shape, int8Bits, isDepthwise, measuringCodes } from './int8Weights.ts';
import type { Adapter } from './productVariant.ts';
import type { Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

export type ChoiceAdapter = Adapter;

/** The form in which a layer's weights lie on the GPU, which settles its kernel, and why, as the end of a sentence. */
export type PackingChoice =
  | { form: 'float' | 'dense' | 'int8' | 'rows'; reason: string }
  | { form: 'nm'; n: number; m: number; reason: string }
  | { form: 'blocks'; blockRows: number; blockK: number; reason: string };

export interface LayerFacts extends Int8Shape {
  /** The layer reads activations of at most 8 bits. */
  quantizedInput: boolean;
  /** Columns of the product that are expected: pixels of a convolution, vectors of a dense layer. */
  columns: number;
  /**
   * `memory`, the default: weights take what they take in the file, but for int8, which rounds 7 bits up to a byte and up
   * to 3 bits to a nibble. `speed`: they may take more, where that is faster.
   */
  prefer?: 'memory' | 'speed';
  /** Bytes that the weights have in the file; by default those of all their codes. */
  payload?: number;
}

/** Weights in memory may take so much more than in the file. */
export const ABOUT = 1.05;

/**
 * Whether a sparse form may be the fastest at all. On SwiftShader, whose compiler unrolls no loops and so keeps a tile's
 * sums in memory, every form was measured to take two to six times as long as float32.
 */
export function runsSparse({ kind, subgroupSize }: Adapter): boolean {
  return kind !== 'cpu' || subgroupSize === 8;
}

/** Chooses a form, in steps where the weights have to be looked at. */
export type Chooser = (adapter: ChoiceAdapter, matrix: WeightMatrix, facts: LayerFacts) => Steps<PackingChoice>;

/** As `choosingPacking`, where no weights are known to be zero. */
export function* choosingDense(adapter: ChoiceAdapter, matrix: WeightMatrix, facts: LayerFacts): Steps<DenseChoice> {
  if (facts.quantizedInput) yield* measuringCodes(matrix);
  return chooseDense(adapter, matrix, facts);
}

type DenseChoice = PackingChoice & { form: 'float' | 'dense' | 'int8' };

function chooseDense(adapter: ChoiceAdapter, matrix: WeightMatrix, facts: LayerFacts): DenseChoice {
  const { values } = matrix;
  if (values.kind === 'f32') return { form: 'float', reason: 'the file has it in float32' };
  const bits = bitsOf(matrix);
  if (facts.quantizedInput && isFastInt8(adapter, facts)) {
    const stored = int8Bits(matrix, facts);
    if (stored !== undefined && (facts.prefer === 'speed' || isAboutTheirSize(matrix, facts, stored))) {
      const kept = stored === 4 ? ', kept as nibbles,' : '';
      return {
        form: 'int8',
        reason: `weights of ${bits} bits${kept} and activations of at most 8 are multiplied as bytes`,
      };
    }
  }
  if (!canPackDense(matrix)) {
    const { group } = values as { group: number };
    return { form: 'float', reason: `its groups of ${group} weights are no multiple of 8` };
  }
  const what = values.kind === 'f16' ? 'float16' : `${bits}-bit ${values.kind === 'table' ? 'indices' : 'codes'}`;
  return { form: 'dense', reason: `${what} are unpacked in registers` };
}

/**
 * Whether int8 kernels beat float32. On CPU adapters of four lanes (SwiftShader) they took 1/1.2 to 1/1.4 of its time in
 * 3×3 convolutions, and 1/0.6 to 1/0.8 in dense batches, 1×1 and depthwise convolutions.
 */
function isFastInt8({ kind, subgroupSize }: ChoiceAdapter, { groups, taps }: LayerFacts): boolean {
  return kind !== 'cpu' || subgroupSize !== 4 || (groups === 1 && taps > 1);
}

/** Whether codes of 1 to 4 bits are stored in 4, or those of 7 and 8 in 8; a depthwise layer is tiny in any case. */
function isAboutTheirSize(matrix: WeightMatrix, facts: LayerFacts, stored: 8 | 4): boolean {
  const bits = bitsOf(matrix);
  return stored === 4 || bits >= 7 || (bits <= 4 && isDepthwise(matrix, facts));
}

/** Of a weight. */
export function bitsOf({ values }: WeightMatrix): number {
  if ('bits' in values) return values.bits;
  return values.kind === 'f16' ? 16 : 32;
}
