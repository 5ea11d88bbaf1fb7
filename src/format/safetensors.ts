import { InputError } from '../graph/errors.ts';
import { numel } from '../graph/tensor.ts';
import type { DType } from '../graph/types.ts';
import { concatBytes } from './bytes.ts';
import { expectArray, expectInteger, expectObject, expectString, parseJson, show } from './expect.ts';
import { expectShape } from './shape.ts';

/**
 * The safetensors container (github.com/huggingface/safetensors, "Format"): an 8-byte little-endian header length, a
 * JSON header padded with spaces, the bytes of the tensors one after another without holes.
 */

export const SAFETENSORS_DTYPES = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
} as const satisfies Record<DType, string>;

const ELEMENT_BYTES: Record<string, number> = {
  ...{ F64: 8, F32: 4, F16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1 },
};

/** The official reader's limit. */
const MAX_HEADER_BYTES = 100_000_000;
const ALIGNMENT = 8;

export interface ContainerTensor {
  name: string;
  /** As safetensors writes it: `U8`, `F32`, … */
  dtype: string;
  shape: readonly number[];
  bytes: Uint8Array;
}

export interface Container {
  metadata: Map<string, string>;
  tensors: Map<string, ContainerTensor>;
  /** All tensor bytes, in order. */
  payload: Uint8Array;
  /** Bytes before the payload: length field, JSON, padding. */
  headerBytes: number;
}

/** Larger elements first, so that every tensor is aligned to its element size, then by name: the official order. */
export function sortTensors(tensors: readonly ContainerTensor[]): ContainerTensor[] {
  return [...tensors].sort(
    (a, b) => ELEMENT_BYTES[b.dtype]! - ELEMENT_BYTES[a.dtype]! || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

export function writeContainer(metadata: Iterable<[string, string]>, sorted: readonly ContainerTensor[]): Uint8Array {
  // Assembled as text because an object would reorder keys that look like numbers, as ONNX names often do.
  const pair = (key: string, json: string) => `${JSON.stringify(key)}:${json}`;
  const entries = [pair('__metadata__', `{${[...metadata].map(([k, v]) => pair(k, JSON.stringify(v))).join()}}`)];
  let offset = 0;
  for (const { name, dtype, shape, bytes } of sorted) {
    const end = offset + bytes.length;
    entries.push(pair(name, JSON.stringify({ dtype, shape, data_offsets: [offset, end] })));
    offset = end;
  }
  const json = new TextEncoder().encode(`{${entries.join()}}`);
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return concatBytes(header, ...sorted.map(({ bytes }) => bytes));
}

/** What a header says; offsets count from the start of the payload. */
export interface ContainerHeader {
  metadata: Map<string, string>;
  /** In the order of their bytes, which they cover without overlap or hole. */
  entries: ContainerEntry[];
  /** Bytes before the payload: length field, JSON, padding. */
  headerBytes: number;
  payloadBytes: number;
}

export interface ContainerEntry {
  name: string;
  dtype: string;
  shape: readonly number[];
  start: number;
  end: number;
}

/** Reads a container; `file` names it in messages. The tensors are views of `bytes`. */
export function readContainer(bytes: Uint8Array, file: string): Container {
  const header = readHeader(bytes, file, bytes.length);
  const payload = bytes.subarray(header.headerBytes);
  const tensors = header.entries.map(({ name, dtype, shape, start, end }): [string, ContainerTensor] => [
    name,
    { name, dtype, shape, bytes: payload.subarray(start, end) },
  ]);
  return { metadata: header.metadata, tensors: new Map(tensors), payload, headerBytes: header.headerBytes };
}

/**
 * Bytes up to the payload, from the first eight of a file.
 * @param fileBytes length of the whole file, where it is known: what the header claims must fit into it
 */
export function headerLength(bytes: Uint8Array, file: string, fileBytes?: number): number {
  if (bytes.length < 8) throw new InputError(`${file} has ${bytes.length} bytes: too short for a safetensors header.`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER_BYTES, (fileBytes ?? Number.MAX_SAFE_INTEGER) - 8))) {
    const limit = fileBytes === undefined ? `at most ${MAX_HEADER_BYTES} are read` : `the file has ${fileBytes} bytes`;
    throw new InputError(
      `${file}: the header length is ${length}, but ${limit}: not a safetensors file, or a truncated one.`,
    );
  }
  return 8 + Number(length);
}

/** Reads the header at the start of `bytes`, which hold at least all of it. `fileBytes` as in `headerLength`. */
export function readHeader(bytes: Uint8Array, file: string, fileBytes?: number): ContainerHeader {
  const headerBytes = headerLength(bytes, file, fileBytes);
  const most = fileBytes === undefined ? Number.MAX_SAFE_INTEGER : fileBytes - headerBytes;
  const metadata = new Map<string, string>();
  const entries: ContainerEntry[] = [];
  for (const [name, entry] of Object.entries(parseHeader(bytes.subarray(8, headerBytes), file))) {
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(expectObject(entry, `${file}: __metadata__`))) {
        metadata.set(key, expectString(value, `${file}: __metadata__ ${show(key)}`));
      }
    } else {
      entries.push(readEntry(name, entry, most, `${file}: tensor ${show(name)}`));
    }
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let next = 0;
  for (const { name, start, end } of entries) {
    if (start !== next) {
      const fault = start < next ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new InputError(`${file}: tensor ${show(name)} ${fault} (data_offsets begin at ${start}, not ${next}).`);
    }
    next = end;
  }
  if (fileBytes !== undefined) checkPayload(next, most, file);
  return { metadata, entries, headerBytes, payloadBytes: next };
}

/** @throws InputError where the payload is longer or shorter than what the tensors cover */
export function checkPayload(covered: number, payloadBytes: number, file: string): void {
  if (covered !== payloadBytes) {
    throw new InputError(
      `${file}: the tensors end at byte ${covered} of the payload, but it has ${payloadBytes} bytes.`,
    );
  }
}

function parseHeader(bytes: Uint8Array, file: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InputError(`${file}: the header is not valid UTF-8.`);
  }
  return expectObject(parseJson(text, `${file}: the header`), `${file}: the header`);
}

function readEntry(name: string, entry: unknown, payloadBytes: number, where: string): ContainerEntry {
  const { dtype, shape: shapeJson, data_offsets } = expectObject(entry, where);
  const elementBytes = typeof dtype === 'string' && Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype]! : 0;
  if (elementBytes === 0) throw new InputError(`${where}: dtype ${show(dtype)} is not one that this version reads.`);
  const shape = expectShape(shapeJson, `${where}: the shape`);
  const offsets = expectArray(data_offsets, `${where}: data_offsets`);
  expectInteger(offsets.length, 2, 2, `${where}: the number of data_offsets`);
  const start = expectInteger(offsets[0], 0, payloadBytes, `${where}: data_offsets[0]`);
  const end = expectInteger(offsets[1], start, payloadBytes, `${where}: data_offsets[1]`);
  const size = numel(shape) * elementBytes;
  if (size !== end - start) {
    throw new InputError(`${where}: its shape takes ${size} bytes, but its data_offsets span ${end - start}.`);
  }
  return { name, dtype: dtype as string, shape, start, end };
}
