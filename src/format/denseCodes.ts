import { numel } from '../graph/tensor.ts';
import { finish, inSteps, type Steps } from '../kernels/steps.ts';
import { type EncodedTensor, scaleIndexer } from './encodedTensor.ts';
import { findingIndices, readingCodes } from './unpackTensor.ts';

/**
 * Codes of all elements of an `int` or `table` tensor, in row-major order; those that a sparse one leaves out are zeros,
 * which a table must have then.
 */
export function denseCodes(tensor: EncodedTensor): Int16Array {
  return finish(fillingCodes(tensor));
}

export function* fillingCodes(tensor: EncodedTensor): Steps<Int16Array> {
  const stored = yield* readingCodes(tensor);
  const positions = yield* findingIndices(tensor, tensor.name);
  if (!positions) return stored;
  const codes = new Int16Array(numel(tensor.shape));
  const { zeroPoint } = tensor;
  if (tensor.table) {
    const zero = tensor.table.indexOf(0);
    yield* inSteps(codes.length, (begin, end) => codes.fill(zero, begin, end));
  } else if (zeroPoint) {
    const scaleOf = scaleIndexer(tensor.shape, tensor);
    yield* inSteps(codes.length, (begin, end) => {
      for (let i = begin; i < end; i++) codes[i] = zeroPoint[scaleOf(i)]!;
    });
  }
  yield* inSteps(positions.length, (begin, end) => {
    for (let i = begin; i < end; i++) codes[positions[i]!] = stored[i]!;
  });
  return codes;
}
