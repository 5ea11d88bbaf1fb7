import { InputError } from '../graph/errors.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { validateGraph } from '../graph/validate.ts';
import type { EncodedTensor } from './encodedTensor.ts';
import { FORMAT_VERSION, fileChecksum } from './encodeModel.ts';
import { show } from './expect.ts';
import { buildGraph, parseGraph } from './graphJson.ts';
import { entryType, mayOwnEntry, POOL } from './layoutTensors.ts';
import { type ModelMeta, readMeta } from './meta.ts';
import { type Container, type ContainerTensor, readContainer } from './safetensors.ts';
import { sameShape } from './shape.ts';
import { type ParsedRecord, readPayload } from './tensorRecord.ts';
import { unpackTensor } from './unpackTensor.ts';

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
  const container = readContainer(bytes, fileName);
  const texts = checkedMetadata(container, fileName);
  const where = `${fileName}: wgslim.graph`;
  const parsed = parseGraph(texts.graph, where);
  const meta = readMeta(texts.meta, `${fileName}: wgslim.meta`);

  const encoded = assignPayloads(parsed.records, container, fileName);
  const tensors = encoded.map((tensor, i) => decodeTensor(tensor, tensorLabel(fileName, parsed.records[i]!, i)));
  const graph = validated(buildGraph(parsed, tensors, where), where);
  return {
    graph,
    encodings: new Map(encoded.filter(({ name }) => name !== '').map((tensor) => [tensor.name, tensor])),
    meta,
    file: { version: FORMAT_VERSION, bytes: bytes.length, headerBytes: container.headerBytes },
  };
}

/** Whether the bytes begin like a file of this format, of any version: to tell it from other formats by content. */
export function isCompressedModel(bytes: Uint8Array): boolean {
  const start = '{"__metadata__":{"wgslim.version"';
  return new TextDecoder().decode(bytes.subarray(8, 8 + start.length)) === start;
}

function checkedMetadata({ metadata, payload }: Container, file: string): { graph: string; meta: string } {
  const version = metadata.get('wgslim.version');
  if (version === undefined) {
    throw new InputError(
      `${file} is a safetensors file without wgslim.version in __metadata__: wgslim did not write it.`,
    );
  }
  if (version !== FORMAT_VERSION) {
    throw new InputError(
      `${file}: wgslim.version is ${show(version)}, but this wgslim reads version ${FORMAT_VERSION}: update wgslim.`,
    );
  }
  const field = (key: string) => {
    const value = metadata.get(key);
    if (value === undefined) throw new InputError(`${file}: __metadata__ has no ${key}.`);
    return value;
  };
  const graph = field('wgslim.graph');
  const meta = field('wgslim.meta');
  if (fileChecksum(graph, meta, [payload]) !== field('wgslim.crc32')) {
    throw new InputError(`${file}: wgslim.crc32 does not fit the content: the file is damaged.`);
  }
  return { graph, meta };
}

/** Gives each record its bytes: the entry of its own name, or the next ones of the pool. */
function assignPayloads(records: readonly ParsedRecord[], container: Container, file: string): EncodedTensor[] {
  const pool = container.tensors.get(POOL)?.bytes ?? new Uint8Array(0);
  const unclaimed = new Set(container.tensors.keys());
  unclaimed.delete(POOL);
  let next = 0;
  const encoded = records.map((record, i) => {
    const where = tensorLabel(file, record, i);
    const own = mayOwnEntry(record.name) ? container.tensors.get(record.name) : undefined;
    if (own) {
      unclaimed.delete(own.name);
      checkEntry(own, record, where);
      return readPayload(record, own.bytes, where);
    }
    if (record.bytes > pool.length - next) {
      throw new InputError(`${where} takes ${record.bytes} bytes, but ${pool.length - next} are left in ${POOL}.`);
    }
    next += record.bytes;
    return readPayload(record, pool.subarray(next - record.bytes, next), where);
  });
  if (next !== pool.length)
    throw new InputError(`${file}: ${pool.length - next} bytes of ${POOL} belong to no tensor.`);
  for (const name of unclaimed)
    throw new InputError(`${file}: tensor ${show(name)} is not an initializer of the graph.`);
  return encoded;
}

function checkEntry(own: ContainerTensor, record: ParsedRecord, where: string): void {
  const { dtype, shape } = entryType(record);
  if (own.dtype !== dtype || !sameShape(own.shape, shape) || own.bytes.length !== record.bytes) {
    throw new InputError(
      `${where}: its entry is ${own.dtype} [${own.shape}], but its encoding makes ${dtype} [${shape}].`,
    );
  }
}

function decodeTensor(encoded: EncodedTensor, where: string): Tensor {
  try {
    return unpackTensor(encoded, where);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError(`${where}: there is not enough memory for its shape [${encoded.shape}].`);
  }
}

function validated(graph: Graph, where: string): Graph {
  try {
    return validateGraph(graph);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${where}: ${error.message}.`);
  }
}

function tensorLabel(file: string, { name }: ParsedRecord, i: number): string {
  return `${file}: tensor ${name === '' ? i : show(name)}`;
}
