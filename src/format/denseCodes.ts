import { numel } from '../graph/tensor.ts';
import { type EncodedTensor, scaleIndexer } from './encodedTensor.ts';
import { storedCodes, storedIndices } from './unpackTensor.ts';

/** Integer levels of all elements of an `int` tensor, in row-major order; those that a sparse one leaves out are zeros. */
export function denseCodes(tensor: EncodedTensor): Int16Array {
  const stored = storedCodes(tensor);
  const positions = storedIndices(tensor, tensor.name);
  if (!positions) return stored;
  const codes = new Int16Array(numel(tensor.shape));
  if (tensor.zeroPoint) {
    const scaleOf = scaleIndexer(tensor.shape, tensor);
    for (let i = 0; i < codes.length; i++) codes[i] = tensor.zeroPoint[scaleOf(i)]!;
  }
  for (let i = 0; i < positions.length; i++) codes[positions[i]!] = stored[i]!;
  return codes;
}
