import { canPackDense } from './denseWeights.ts';
import { canPackInt8, type Int8Shape } from './int8Weights.ts';
import type { Adapter } from './productVariant.ts';
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
  /** `memory`, the default: weights take no more than in the file. `speed`: they may, where that is faster. */
  prefer?: 'memory' | 'speed';
}

/**
 * Chooses the form from the adapter, the shapes and the numbers alone. Codes of up to 6 bits stay as they are rather than
 * become bytes, unless speed is preferred.
 */
export function choosePacking(_adapter: ChoiceAdapter, matrix: WeightMatrix, facts: LayerFacts): PackingChoice {
  const { values } = matrix;
  if (values.kind === 'f32') return { form: 'float', reason: 'the file has it in float32' };
  const { quantizedInput, prefer = 'memory' } = facts;
  const bits = values.kind === 'f16' ? 16 : values.bits;
  const isByte = bits >= 7 || prefer === 'speed';
  if (values.kind === 'int' && quantizedInput && isByte && canPackInt8(matrix, facts)) {
    return { form: 'int8', reason: `weights of ${bits} bits and activations of at most 8 are multiplied as bytes` };
  }
  if (!canPackDense(matrix)) {
    return {
      form: 'float',
      reason: `its groups of ${'group' in values ? values.group : 0} weights are no multiple of 8`,
    };
  }
  const what = values.kind === 'f16' ? 'float16' : `${bits}-bit ${values.kind === 'table' ? 'indices' : 'codes'}`;
  return { form: 'dense', reason: `${what} are unpacked in registers` };
}
