import { InputError } from '../graph/errors.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { validateGraph } from '../graph/validate.ts';
import { finish, type Steps } from '../kernels/steps.ts';
import type { EncodedTensor } from './encodedTensor.ts';
import { buildGraph } from './graphJson.ts';
import type { ModelMeta } from './meta.ts';
import { type ArrivedTensor, type ModelHeader, ModelReader } from './modelReader.ts';
import { unpackingTensor } from './unpackTensor.ts';
import { FORMAT_VERSION } from './version.ts';

export interface CompressedModel {
  /** Initializers decoded: compressed ones are float32. */
  graph: Graph;
  /** The initializers as stored, by name, in the graph's order; views of the file's bytes. */
  encodings: Map<string, EncodedTensor>;
  meta: ModelMeta;
  file: { version: string; bytes: number /** All that is not payload. */; headerBytes: number };
}

/**
 * Reads a compressed file. Every length, offset, shape, index and code is checked before memory is taken for it, and
 * the checksum before the weights are used; a tensor takes at most 1024 times the bytes it has in the file.
 * @throws InputError naming the file and the field.
 */
export function decodeModel(bytes: Uint8Array, { fileName }: { fileName: string }): CompressedModel {
  const reader = new ModelReader(fileName, bytes.length);
  reader.push(bytes);
  reader.finish();
  // `finish` has seen the whole file.
  const header = reader.header as ModelHeader;
  const encoded: EncodedTensor[] = [];
  const tensors: Tensor[] = [];
  for (const arrived of reader.take()) {
    encoded[arrived.index] = arrived.tensor;
    tensors[arrived.index] = decodeArrived(arrived);
  }
  return {
    graph: assembleGraph(header, tensors, fileName),
    encodings: new Map(encoded.filter(({ name }) => name !== '').map((tensor) => [tensor.name, tensor])),
    meta: header.meta,
    file: { version: FORMAT_VERSION, bytes: bytes.length, headerBytes: header.headerBytes },
  };
}

/** The graph of a header with its tensors, in the order of the records. @throws InputError */
export function assembleGraph(header: ModelHeader, tensors: readonly Tensor[], fileName: string): Graph {
  const where = `${fileName}: wgslim.graph`;
  const graph = buildGraph(header.parsed, tensors, where);
  try {
    return validateGraph(graph);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${where}: ${error.message}.`);
  }
}

/** Whether the bytes begin like a file of this format, of any version: to tell it from other formats by content. */
export function isCompressedModel(bytes: Uint8Array): boolean {
  const start = '{"__metadata__":{"wgslim.version"';
  return new TextDecoder().decode(bytes.subarray(8, 8 + start.length)) === start;
}

/** The tensor that has arrived, decoded. @throws InputError */
export function decodeArrived(arrived: ArrivedTensor): Tensor {
  return finish(decodingArrived(arrived));
}

export function* decodingArrived({ tensor, where }: ArrivedTensor): Steps<Tensor> {
  try {
    return yield* unpackingTensor(tensor, where);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError(`${where}: there is not enough memory for its shape [${tensor.shape}].`);
  }
}
