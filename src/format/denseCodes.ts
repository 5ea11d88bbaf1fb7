import { numel } from '../graph/tensor.ts';
import { type EncodedTensor, scaleIndexer } from './encodedTensor.ts';
import { storedCodes, storedIndices } from './unpackTensor.ts';

/**
 * Codes of all elements of an `int` or `table` tensor, in row-major order; those that a sparse one leaves out are zeros,
 * which a table must have then.
 */
export function denseCodes(tensor: EncodedTensor): Int16Array {
  const stored = storedCodes(tensor);
  const positions = storedIndices(tensor, tensor.name);
  if (!positions) return stored;
  const codes = new Int16Array(numel(tensor.shape));
  if (tensor.table) codes.fill(tensor.table.indexOf(0));
  else if (tensor.zeroPoint) {
    const scaleOf = scaleIndexer(tensor.shape, tensor);
    for (let i = 0; i < codes.length; i++) codes[i] = tensor.zeroPoint[scaleOf(i)]!;
  }
  for (let i = 0; i < positions.length; i++) codes[positions[i]!] = stored[i]!;
  return codes;
}
