import { crc32 } from 'node:zlib';

interface Parameters {
  b: number;
  s?: number;
  a?: number;
  g?: number;
  z?: number;
  t?: number;
  n: number;
  k: number;
  m: number;
  d?: number;
  v?: (number | string)[];
}
type RecordJson = [name: number, shape: number[], encoding: number, parameters?: Parameters];
type NodeJson = [op: number, name: number, inputs: number[], outputs: number[], attributes?: number];

/**
 * A second reader of docs/format.md, written from that page alone: it shares no code with src/format, checks nothing
 * that it need not, and reads streams bit by bit.
 */
export function independentRead(file: Buffer) {
  const headerEnd = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(file.toString('utf8', 8, headerEnd));
  const payload = file.subarray(headerEnd);
  const checksum = crc32(payload, crc32(metadata['wgslim.meta'], crc32(metadata['wgslim.graph'])));
  if (checksum !== Number.parseInt(metadata['wgslim.crc32'], 16)) throw new Error('checksum');
  const graph = JSON.parse(metadata['wgslim.graph']);

  const strings: string[] = [];
  let prefix = '';
  for (const item of graph.s) {
    if (typeof item === 'number') {
      prefix = strings[strings.length - 1]!.slice(0, item);
    } else {
      strings.push(prefix + item);
      prefix = '';
    }
  }

  let poolAt = 0;
  const span = (key: string) => payload.subarray(...(entries[key].data_offsets as [number, number]));
  const pool = entries['wgslim.pool'] ? span('wgslim.pool') : Buffer.alloc(0);
  const tensors = graph.t.map(([nameIndex, shape, encodingIndex, p = {} as Parameters]: RecordJson) => {
    const name = nameIndex === -1 ? '' : strings[nameIndex]!;
    const own = !/^(wgslim\.|$)/.test(name) && entries[name] !== undefined;
    const bytes = own ? span(name) : pool;
    let at = own ? 0 : poolAt;
    const take = (length: number) => bytes.subarray(at, (at += length));
    const ints = (count: number, bits: number) => {
      const part = take(Math.ceil((count * bits) / 8));
      const bit = (j: number) => (part[j >> 3]! >> (j & 7)) & 1;
      return Array.from({ length: count }, (_, i) => {
        let value = 0;
        for (let j = 0; j < bits; j++) value += bit(i * bits + j) * 2 ** j;
        return value;
      });
    };
    const floats = (count: number, width: number) => {
      const part = take(count * width);
      return Array.from({ length: count }, (_, i) => (width === 4 ? part.readFloatLE(4 * i) : half(part, 2 * i)));
    };
    const count = shape.reduce((a: number, b: number) => a * b, 1);
    const [kind, layout] = strings[encodingIndex]!.split('.') as [string, string?];
    const dtype = p.d === undefined ? 'float32' : strings[p.d]!;
    let values: (number | string)[] = p.v ?? [];
    if (kind === 'raw') values = rawElements(dtype, take(count * rawSize(dtype)));
    if (kind === 'f32' || kind === 'f16' || kind === 'int' || kind === 'table') {
      const last = shape.length === 0 ? 1 : shape[shape.length - 1];
      const perRow = p.g ? Math.ceil(last / p.g) : 0;
      const scaleCount = p.a !== undefined ? shape[p.a] : p.g ? (count / last) * perRow : 1;
      const isCoded = kind === 'int' || kind === 'table';
      const table = kind === 'table' ? floats(2 ** p.b, p.t ?? 4) : [];
      const scales = isCoded ? floats(scaleCount, p.s ?? 4) : [];
      const zeros = p.z ? ints(scaleCount, p.b) : scales.map(() => 0);
      let positions = Array.from({ length: count }, (_, i) => i);
      if (layout === 'bitmap') {
        const map = ints(count, 1);
        positions = positions.filter((i) => map[i] === 1);
      } else if (layout === 'gap') {
        const filler = 2 ** p.k - 1;
        let next = 0;
        positions = ints(p.m, p.k).flatMap((g) => {
          next += g;
          return g === filler ? [] : [next++];
        });
      }
      const stored = isCoded ? ints(positions.length, p.b) : floats(positions.length, kind === 'f32' ? 4 : 2);
      values = new Array(count).fill(0);
      positions.forEach((i, j) => {
        const inner = p.a === undefined ? 1 : shape.slice(p.a + 1).reduce((a: number, b: number) => a * b, 1);
        const group = p.a !== undefined ? Math.floor(i / inner) % shape[p.a] : 0;
        const s = p.g ? Math.floor(i / last) * perRow + Math.floor((i % last) / p.g) : group;
        const code = !p.z && kind === 'int' && stored[j]! >= 2 ** (p.b - 1) ? stored[j]! - 2 ** p.b : stored[j]!;
        values[i] = stored[j]!;
        if (kind === 'int') values[i] = Math.fround(scales[s]! * (code - zeros[s]!));
        if (kind === 'table') values[i] = Math.fround(scales[s]! * table[stored[j]!]!);
      });
    }
    if (!own) poolAt = at;
    return { name, dtype, shape, values: values.map(Number) };
  });
  const nodes = graph.n.map(([op, name, inputs, outputs, list]: NodeJson) => ({
    ...{ op: strings[op], name: strings[name] },
    ...{ inputs: inputs.map((i: number) => strings[i]), outputs: outputs.map((i: number) => strings[i]) },
    attributes: Object.fromEntries(
      (list === undefined ? [] : graph.a[list]).flatMap((key: number, i: number, all: unknown[]) =>
        i % 2 === 0 ? [[strings[key], all[i + 1]]] : [],
      ),
    ),
  }));
  return { tensors, nodes, inputs: graph.i, outputs: graph.o, meta: JSON.parse(metadata['wgslim.meta']) };
}

function half(bytes: Buffer, at: number): number {
  const bits = bytes.readUInt16LE(at);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

function rawSize(dtype: string): number {
  return /64/.test(dtype) ? 8 : /32/.test(dtype) ? 4 : /16/.test(dtype) ? 2 : 1;
}

function rawElements(dtype: string, part: Buffer): number[] {
  const size = rawSize(dtype);
  const view = new DataView(part.buffer, part.byteOffset, part.length);
  return Array.from({ length: part.length / size }, (_, i) => {
    if (dtype === 'float16') return part.readUInt16LE(2 * i);
    if (dtype === 'float32') return view.getFloat32(4 * i, true);
    if (dtype === 'float64') return view.getFloat64(8 * i, true);
    if (dtype === 'int64') return Number(view.getBigInt64(8 * i, true));
    if (dtype === 'uint64') return Number(view.getBigUint64(8 * i, true));
    return dtype.startsWith('int') ? part.readIntLE(size * i, size) : part.readUIntLE(size * i, size);
  });
}
