import { floatTensor } from '../graph/tensor.ts';
import type { Tensor } from '../graph/types.ts';
import { randomWords, STREAM } from './data/philox.ts';

/**
 * Weights for layers followed by a rectifier: uniform in ±√(6/fanIn) (He et al. 2015, "Delving Deep into Rectifiers",
 * eq. 10, as a uniform distribution). A pure function of the seed and the tensor's number.
 * @param fanIn products that are summed into one output
 */
export function kaimingUniform(shape: readonly number[], fanIn: number, seed: number, index: number): Tensor {
  const bound = Math.sqrt(6 / fanIn);
  const word = randomWords(seed, STREAM.weights, 0, index);
  const elements = shape.reduce((product, length) => product * length, 1);
  return floatTensor(
    shape,
    Float32Array.from({ length: elements }, () => (word() * 2 ** -31 - 1) * bound),
  );
}

export function zeros(shape: readonly number[]): Tensor {
  return floatTensor(shape, new Float32Array(shape.reduce((product, length) => product * length, 1)));
}
