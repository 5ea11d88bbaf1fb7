import { InputError } from '../graph/errors.ts';
import { allocate, bytesPerElement, numel, typedArrayFromBytes } from '../graph/tensor.ts';
import type { DType } from '../graph/types.ts';
import { paddingIsZero } from './bits.ts';
import { bytesOf, concatBytes, isDType } from './bytes.ts';
import { type EncodedTensor, type EncodingKind, type Layout, scaleCount, streamBytes } from './encodedTensor.ts';
import { expectArray, expectInteger, expectObject, show } from './expect.ts';
import { readScales, scaleBytes, scaleSectionBytes, scaleWidth } from './scaleSection.ts';
import { expectShape, MAX_ELEMENTS } from './shape.ts';
import type { StringIndex, StringTable } from './stringTable.ts';

/**
 * The JSON of a stored tensor: [name, shape, encoding, parameters], names as indices of the string table, name −1 for
 * an attribute's tensor, parameters absent where there are none. docs/format.md lists the parameters.
 */
export type TensorRecord = [number, readonly number[], number, Record<string, unknown>?];

/** `int`, `int.bitmap`, `int.gap`, … */
export function encodingName(tensor: EncodedTensor): string {
  return tensor.layout === 'dense' ? tensor.kind : `${tensor.kind}.${tensor.layout}`;
}

export function tensorRecord(tensor: EncodedTensor, strings: StringIndex): TensorRecord {
  const name = tensor.name === '' ? -1 : strings.indexOf(tensor.name);
  const parameters = recordParameters(tensor, strings);
  const record: TensorRecord = [name, tensor.shape, strings.indexOf(encodingName(tensor))];
  if (Object.keys(parameters).length > 0) record.push(parameters);
  return record;
}

function recordParameters(tensor: EncodedTensor, strings: StringIndex): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  if (tensor.kind === 'raw' || tensor.kind === 'inline') parameters.d = strings.indexOf(tensor.dtype);
  if (tensor.kind === 'inline') {
    parameters.v = Array.from(
      typedArrayFromBytes(tensor.dtype, tensor.values, tensor.stored) as ArrayLike<number | bigint>,
      (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
    );
  }
  if (tensor.scale) {
    parameters.b = tensor.bits;
    if (tensor.table && scaleWidth(tensor.table) === 2) parameters.t = 2;
    if (scaleWidth(tensor.scale) === 2) parameters.s = 2;
    if (tensor.axis !== undefined) parameters.a = tensor.axis;
    if (tensor.groupSize !== undefined) parameters.g = tensor.groupSize;
    if (tensor.zeroPoint) parameters.z = 1;
  }
  if (tensor.layout !== 'dense') parameters.n = tensor.stored;
  if (tensor.layout === 'gap') {
    parameters.k = tensor.gapBits;
    parameters.m = tensor.gapSymbols;
  }
  return parameters;
}

/** What stands in the payload for a tensor. */
export function tensorPayload(tensor: EncodedTensor): Uint8Array {
  if (tensor.kind === 'inline') return new Uint8Array(0);
  const scales = tensor.scale ? scaleBytes(tensor.scale, tensor.zeroPoint, tensor.bits) : new Uint8Array(0);
  const table = tensor.table ? scaleBytes(tensor.table, undefined, 0) : new Uint8Array(0);
  return concatBytes(table, scales, tensor.index, tensor.values);
}

/** A record whose numbers are checked; its payload is not read yet. */
export interface ParsedRecord {
  name: string;
  shape: number[];
  dtype: DType;
  kind: EncodingKind;
  layout: Layout;
  bits: number;
  stored: number;
  gapBits: number;
  gapSymbols: number;
  /** Bytes per entry of a table; 0 without one. */
  tableWidth: number;
  scales: number;
  scaleWidth: number;
  hasZeroPoint: boolean;
  axis?: number;
  groupSize?: number;
  inline?: Uint8Array;
  /** Bytes that its payload must have. */
  bytes: number;
}

const KINDS = ['raw', 'inline', 'f32', 'f16', 'int', 'table'];
const PARAMETERS: Record<string, string> = { raw: 'd', inline: 'dv', f32: '', f16: '', int: 'bsagz', table: 'bsagt' };
const LAYOUT_PARAMETERS: Record<Layout, string> = { dense: '', bitmap: 'n', gap: 'nkm' };

export function parseRecord(json: unknown, strings: StringTable, where: string): ParsedRecord {
  const fields = expectArray(json, where);
  const name = fields[0] === -1 ? '' : strings.at(fields[0], `${where}: the name`);
  const here = name === '' ? where : `${where} (${show(name)})`;
  const shape = expectShape(fields[1], `${here}: the shape`);
  const encoding = strings.at(fields[2], `${here}: the encoding`);
  const { kind, layout } = parseEncoding(encoding, here);
  const given = fields.length === 3 ? {} : expectObject(fields[3], `${here}: the parameters`);
  const known = PARAMETERS[kind]! + LAYOUT_PARAMETERS[layout];
  for (const key of Object.keys(given)) {
    if (key.length !== 1 || !known.includes(key)) {
      throw new InputError(`${here}: ${show(key)} is not a parameter of encoding ${encoding}.`);
    }
  }
  const integer = (key: string, minimum: number, maximum: number, absent?: number): number =>
    given[key] === undefined && absent !== undefined
      ? absent
      : expectInteger(given[key], minimum, maximum, `${here}: parameter ${key}`);

  const count = numel(shape);
  const hasScales = kind === 'int' || kind === 'table';
  const record: ParsedRecord = {
    name,
    shape,
    dtype: 'float32',
    kind,
    layout,
    bits: hasScales ? integer('b', 1, 8) : kind === 'f16' ? 16 : 32,
    stored: layout === 'dense' ? count : integer('n', 0, count),
    gapBits: layout === 'gap' ? integer('k', 1, 8) : 0,
    gapSymbols: layout === 'gap' ? integer('m', 0, MAX_ELEMENTS * 2) : 0,
    tableWidth: 0,
    scales: 0,
    scaleWidth: 0,
    hasZeroPoint: false,
    bytes: 0,
  };
  if (kind === 'raw' || kind === 'inline') {
    record.dtype = parseDType(strings.at(given.d, `${here}: parameter d`), here);
    record.bits = 8 * bytesPerElement[record.dtype];
  }
  if (kind === 'inline') {
    record.inline = parseInline(given.v, record.dtype, count, `${here}: parameter v`);
    return record;
  }
  if (hasScales) {
    if (kind === 'table') record.tableWidth = given.t === undefined ? 4 : integer('t', 2, 2);
    record.scaleWidth = given.s === undefined ? 4 : integer('s', 2, 2);
    record.hasZeroPoint = given.z !== undefined && integer('z', 1, 1) === 1;
    if (given.a !== undefined) record.axis = integer('a', 0, shape.length - 1);
    if (given.g !== undefined) record.groupSize = integer('g', 1, MAX_ELEMENTS);
    if (given.a !== undefined && given.g !== undefined) throw new InputError(`${here} has both parameters a and g.`);
    record.scales = scaleCount(shape, record);
    record.bytes =
      tableBytes(record) + scaleSectionBytes(record.scales, record.scaleWidth, record.hasZeroPoint, record.bits);
  }
  record.bytes += streamBytes(layout, count, record.stored, record.bits, record.gapBits, record.gapSymbols);
  return record;
}

const tableBytes = ({ tableWidth, bits }: ParsedRecord) => tableWidth * 2 ** bits;

function parseEncoding(encoding: string, where: string): { kind: EncodingKind; layout: Layout } {
  const [kind = '', layout = 'dense', ...rest] = encoding.split('.');
  const isSparse = layout === 'bitmap' || layout === 'gap';
  const canBeSparse = kind !== 'raw' && kind !== 'inline';
  const isKnown = encoding === kind || (isSparse && canBeSparse && rest.length === 0);
  if (!KINDS.includes(kind) || !isKnown) {
    throw new InputError(`${where} has encoding ${show(encoding)}, which this version cannot read: update wgslim.`);
  }
  return { kind: kind as EncodingKind, layout: layout as Layout };
}

function parseDType(name: string, where: string): DType {
  if (!isDType(name)) throw new InputError(`${where} has the unknown element type ${show(name)}.`);
  return name;
}

/** Bytes of the elements that stand in the JSON: whole numbers, or decimal strings past 2^53. */
function parseInline(json: unknown, dtype: DType, count: number, where: string): Uint8Array {
  const list = expectArray(json, where);
  if (dtype.startsWith('float')) throw new InputError(`${where}: ${dtype} elements cannot stand in the JSON.`);
  expectInteger(list.length, count, count, `${where}: the number of elements`);
  const data = allocate(dtype, count);
  for (const [i, element] of list.entries()) {
    const isDecimal = typeof element === 'string' && /^-?\d{1,20}$/.test(element);
    if (!isDecimal && !Number.isSafeInteger(element)) throw new InputError(`${where}: ${show(element)} is no integer.`);
    const exact = BigInt(element as string | number);
    data[i] = typeof data[0] === 'bigint' ? exact : Number(exact);
    // A typed array wraps what it cannot hold.
    const isHeld = BigInt(data[i]!) === exact && (dtype !== 'bool' || exact < 2n);
    if (!isHeld) throw new InputError(`${where}: ${exact} is not a value of ${dtype}.`);
  }
  return bytesOf(data);
}

/** Cuts the payload of a record (of the length it asks for) into its streams. */
export function readPayload(record: ParsedRecord, payload: Uint8Array, where: string): EncodedTensor {
  const { scales: count, scaleWidth: width, hasZeroPoint, bits, layout } = record;
  const tableEnd = tableBytes(record);
  const scaleEnd = tableEnd + scaleSectionBytes(count, width, hasZeroPoint, bits);
  const valueBytes = streamBytes('dense', record.stored, record.stored, bits);
  const indexEnd = record.kind === 'inline' ? 0 : payload.length - valueBytes;
  const index = payload.subarray(scaleEnd, indexEnd);
  const values = record.inline ?? payload.subarray(indexEnd);
  const section = payload.subarray(tableEnd, scaleEnd);
  const scales = width ? readScales(section, count, width, hasZeroPoint, bits) : undefined;
  const table = tableEnd && readScales(payload.subarray(0, tableEnd), 2 ** bits, record.tableWidth, false, 0).scale;
  if (table && !table.every(Number.isFinite)) throw new InputError(`${where}: its table is not finite.`);
  if (scales && !scales.scale.every((step) => Number.isFinite(step) && step >= 0)) {
    throw new InputError(`${where}: a scale is negative or not finite.`);
  }
  const indexBits = layout === 'gap' ? record.gapSymbols * record.gapBits : numel(record.shape);
  const isPadded =
    paddingIsZero(values, record.stored * bits) &&
    (layout === 'dense' || paddingIsZero(index, indexBits)) &&
    (!hasZeroPoint || paddingIsZero(section, count * bits));
  if (!isPadded) throw new InputError(`${where}: unused bits at the end of a stream are not zero.`);
  return {
    name: record.name,
    shape: record.shape,
    dtype: record.dtype,
    kind: record.kind,
    layout,
    bits,
    stored: record.stored,
    gapBits: record.gapBits,
    gapSymbols: record.gapSymbols,
    ...(table && { table }),
    ...scales,
    ...(record.axis !== undefined && { axis: record.axis }),
    ...(record.groupSize !== undefined && { groupSize: record.groupSize }),
    index,
    values,
    bytes: record.bytes,
  };
}
