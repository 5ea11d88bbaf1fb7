import { numel } from '../graph/tensor.ts';
import { type CompressedModel, decodeModel } from './decodeModel.ts';
import { encodingName } from './tensorRecord.ts';

export interface TensorDescription {
  name: string;
  shape: number[];
  /** As in the file: `int.gap`, `f16`, … */
  encoding: string;
  /** Width of one stored value. */
  bits: number;
  parameters: number;
  nonzero: number;
  /** Fraction of elements that are zero. */
  sparsity: number;
  /** Bytes in the payload: scales, zero points, index and values. 0 where the elements stand in the header. */
  bytes: number;
}

export interface ModelDescription {
  version: string;
  /** Of the file; the sum of headerBytes and every tensor's bytes (attributes' tensors included in `otherBytes`). */
  bytes: number;
  headerBytes: number;
  otherBytes: number;
  tensors: TensorDescription[];
}

/** What a compressed file spends on each initializer, from its bytes or already decoded. */
export function describeModel(
  source: Uint8Array | CompressedModel,
  options: { fileName: string } = { fileName: 'the model' },
): ModelDescription {
  const { graph, encodings, file } = source instanceof Uint8Array ? decodeModel(source, options) : source;
  const tensors = [...encodings.values()].map((encoded): TensorDescription => {
    const parameters = numel(encoded.shape);
    let nonzero = 0;
    for (const value of graph.initializers.get(encoded.name)!.data) if (Number(value) !== 0) nonzero++;
    return {
      name: encoded.name,
      shape: [...encoded.shape],
      encoding: encodingName(encoded),
      bits: encoded.bits,
      parameters,
      nonzero,
      sparsity: parameters === 0 ? 0 : 1 - nonzero / parameters,
      bytes: encoded.bytes,
    };
  });
  const described = tensors.reduce((sum, { bytes }) => sum + bytes, file.headerBytes);
  return { ...file, otherBytes: file.bytes - described, tensors };
}
