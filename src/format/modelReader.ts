import { InputError } from '../graph/errors.ts';
import { checksumText, textChecksum } from './checksum.ts';
import { continueCrc32 } from './crc32.ts';
import type { EncodedTensor } from './encodedTensor.ts';
import { show } from './expect.ts';
import { type ParsedGraph, parseGraph } from './graphJson.ts';
import { entryType, mayOwnEntry, POOL } from './layoutTensors.ts';
import { type ModelMeta, readMeta } from './meta.ts';
import { type ContainerEntry, type ContainerHeader, checkPayload, headerLength, readHeader } from './safetensors.ts';
import { sameShape } from './shape.ts';
import { type ParsedRecord, readPayload } from './tensorRecord.ts';
import { FORMAT_VERSION } from './version.ts';

/** What a file says before its payload. */
export interface ModelHeader {
  parsed: ParsedGraph;
  meta: ModelMeta;
  /** Where each record's bytes lie, counted from the start of the payload. */
  places: readonly { start: number; end: number }[];
  headerBytes: number;
  payloadBytes: number;
}

/** A record whose bytes are all there. */
export interface ArrivedTensor {
  index: number;
  tensor: EncodedTensor;
  /** File and tensor, for messages. */
  where: string;
}

/**
 * Reads a compressed file as it arrives, in pieces of any size. `header` is there as soon as its bytes are; `take`
 * gives the tensors that have arrived since it was last called. Their values may be used for nothing that shows before
 * `finish` has compared the checksum, which covers the whole file. Memory grows with what has arrived, never with what
 * the file claims.
 */
export class ModelReader {
  readonly #file: string;
  readonly #fileBytes: number | undefined;
  #bytes = new Uint8Array(0);
  #received = 0;
  #container: ContainerHeader | undefined;
  #texts: { graph: string; meta: string; checksum: string } | undefined;
  #header: ModelHeader | undefined;
  #crc = 0;
  /** Records in the order of their bytes, and how many of them were taken. */
  #order: number[] = [];
  #taken = 0;

  /** @param fileBytes length of the whole file, where it is known beforehand */
  constructor(file: string, fileBytes?: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  /** All bytes so far; the file's, once `finish` has returned. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#received);
  }

  /**
   * Takes the next piece. The first, and what follows it in the same buffer, is kept as it is and must not change;
   * other pieces are copied.
   * @throws InputError where the container or its metadata are not those of a file that can be read
   */
  push(piece: Uint8Array): void {
    this.#append(piece);
    if (!this.#container) this.#readContainerHeader();
    const container = this.#container;
    if (!container) return;
    const end = container.headerBytes + container.payloadBytes;
    if (this.#received > end) checkPayload(container.payloadBytes, this.#received - container.headerBytes, this.#file);
    const fresh = Math.max(this.#received - piece.length, container.headerBytes);
    this.#crc = continueCrc32(this.#crc, this.#bytes.subarray(fresh, this.#received));
  }

  /** The file's graph and meta; undefined until their bytes are there. @throws InputError */
  get header(): ModelHeader | undefined {
    if (!this.#header && this.#container && this.#texts) {
      const { entries, headerBytes, payloadBytes } = this.#container;
      const parsed = parseGraph(this.#texts.graph, `${this.#file}: wgslim.graph`);
      const meta = readMeta(this.#texts.meta, `${this.#file}: wgslim.meta`);
      const places = placeRecords(parsed.records, entries, this.#file);
      this.#header = { parsed, meta, places, headerBytes, payloadBytes };
      this.#order = places.map((_, index) => index).sort((a, b) => places[a]!.end - places[b]!.end || a - b);
    }
    return this.#header;
  }

  /** The tensors that have arrived since the last call, in the order of their bytes. @throws InputError */
  take(): ArrivedTensor[] {
    const header = this.header;
    if (!header) return [];
    const arrived: ArrivedTensor[] = [];
    for (; this.#taken < this.#order.length; this.#taken++) {
      const index = this.#order[this.#taken]!;
      if (header.headerBytes + header.places[index]!.end > this.#received) break;
      arrived.push(this.#read(header, index));
    }
    return arrived;
  }

  /** A tensor that has been taken, once more. */
  again(index: number): ArrivedTensor {
    return this.#read(this.#header as ModelHeader, index);
  }

  #read({ parsed, places, headerBytes }: ModelHeader, index: number): ArrivedTensor {
    const record = parsed.records[index]!;
    const { start, end } = places[index]!;
    const where = tensorLabel(this.#file, record, index);
    const payload = this.#bytes.subarray(headerBytes + start, headerBytes + end);
    return { index, where, tensor: readPayload(record, payload, where) };
  }

  /** @throws InputError where bytes are missing, or the checksum does not fit */
  finish(): void {
    const container = this.#container;
    if (!container || !this.#texts) {
      headerLength(this.bytes, this.#file, this.#received);
      throw new InputError(`${this.#file} has ${this.#received} bytes and ends within its header: it is truncated.`);
    }
    checkPayload(container.payloadBytes, this.#received - container.headerBytes, this.#file);
    if (checksumText(this.#crc) !== this.#texts.checksum) {
      throw new InputError(`${this.#file}: wgslim.crc32 does not fit the content: the file is damaged.`);
    }
  }

  #append(piece: Uint8Array): void {
    const length = this.#received + piece.length;
    const { buffer, byteOffset } = this.#bytes;
    const follows = piece.buffer === buffer && piece.byteOffset === byteOffset + this.#received;
    if (this.#received === 0) {
      this.#bytes = piece as Uint8Array<ArrayBuffer>;
    } else if (follows) {
      this.#bytes = new Uint8Array(buffer, byteOffset, length);
    } else {
      if (length > this.#bytes.length) {
        const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
        larger.set(this.#bytes.subarray(0, this.#received));
        this.#bytes = larger;
      }
      this.#bytes.set(piece, this.#received);
    }
    this.#received = length;
  }

  #readContainerHeader(): void {
    if (this.#received < 8) {
      if (this.#fileBytes === this.#received) headerLength(this.bytes, this.#file);
      return;
    }
    const length = headerLength(this.bytes, this.#file, this.#fileBytes);
    if (this.#received < length) return;
    this.#container = readHeader(this.bytes, this.#file, this.#fileBytes);
    this.#texts = readTexts(this.#container.metadata, this.#file);
    this.#crc = textChecksum(this.#texts.graph, this.#texts.meta);
  }
}

function readTexts(metadata: ReadonlyMap<string, string>, file: string) {
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
  return { graph: field('wgslim.graph'), meta: field('wgslim.meta'), checksum: field('wgslim.crc32') };
}

/** Gives each record its bytes: the entry of its own name, or the next ones of the pool. */
function placeRecords(records: readonly ParsedRecord[], entries: readonly ContainerEntry[], file: string) {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const pool = byName.get(POOL) ?? { start: 0, end: 0 };
  byName.delete(POOL);
  const unclaimed = new Set(byName.keys());
  let next = pool.start;
  const places = records.map((record, i) => {
    const where = tensorLabel(file, record, i);
    const own = mayOwnEntry(record.name) ? byName.get(record.name) : undefined;
    if (own) {
      unclaimed.delete(own.name);
      checkEntry(own, record, where);
      return { start: own.start, end: own.end };
    }
    if (record.bytes > pool.end - next) {
      throw new InputError(`${where} takes ${record.bytes} bytes, but ${pool.end - next} are left in ${POOL}.`);
    }
    next += record.bytes;
    return { start: next - record.bytes, end: next };
  });
  if (next !== pool.end) throw new InputError(`${file}: ${pool.end - next} bytes of ${POOL} belong to no tensor.`);
  for (const name of unclaimed)
    throw new InputError(`${file}: tensor ${show(name)} is not an initializer of the graph.`);
  return places;
}

function checkEntry(own: ContainerEntry, record: ParsedRecord, where: string): void {
  const { dtype, shape } = entryType(record);
  if (own.dtype !== dtype || !sameShape(own.shape, shape) || own.end - own.start !== record.bytes) {
    throw new InputError(
      `${where}: its entry is ${own.dtype} [${own.shape}], but its encoding makes ${dtype} [${shape}].`,
    );
  }
}

function tensorLabel(file: string, { name }: ParsedRecord, i: number): string {
  return `${file}: tensor ${name === '' ? i : show(name)}`;
}
