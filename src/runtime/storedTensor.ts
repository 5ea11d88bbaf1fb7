import { numel } from '../graph/tensor.ts';
import type { Tensor, TensorData } from '../graph/types.ts';

/** Longer tensors do not stay on the host; a plan looks into shapes, bounds and scales, which are shorter. */
const LONGEST_KEPT = 1024;

/**
 * A tensor whose numbers lie elsewhere, on the GPU and in the file: without them, unless they are few, but with a way to
 * make them again for a plan that asks.
 */
export function storedTensor(tensor: Tensor, make: () => TensorData): Tensor {
  const { dtype, shape } = tensor;
  if (numel(shape) <= LONGEST_KEPT) return tensor;
  let made: TensorData | undefined;
  return {
    dtype,
    shape,
    get data() {
      made ??= make();
      return made;
    },
  };
}
