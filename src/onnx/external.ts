import type { TensorProto } from 'onnx-buf';
import { InputError } from '../graph/errors.ts';

/** Reads `length` bytes at `offset` of a file beside the model; `relativePath` has been checked to stay there. */
export type ReadExternal = (relativePath: string, offset: number, length: number | undefined) => Uint8Array;

/** Bytes of a tensor that is stored in a file beside the model, exactly `byteLength` of them. */
export function readExternalData(
  tensor: TensorProto,
  byteLength: number,
  readExternal: ReadExternal | undefined,
): Uint8Array {
  const what = `tensor '${tensor.name}'`;
  const fields = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = fields.get('location');
  if (!location) throw new InputError(`${what} has external data without a location`);
  checkLocation(what, location);
  const offset = parseCount(what, 'offset', fields.get('offset')) ?? 0;
  const length = parseCount(what, 'length', fields.get('length')) ?? byteLength;
  if (length !== byteLength) {
    throw new InputError(`${what} needs ${byteLength} bytes, but its external data has length ${length}`);
  }
  if (!readExternal) {
    throw new InputError(`${what} lies in the external file '${location}', and only the model itself was given`);
  }
  const bytes = readExternal(location, offset, byteLength);
  if (bytes.length !== byteLength) {
    throw new InputError(
      `${what} needs ${byteLength} bytes of '${location}' from ${offset} on, of which ${bytes.length} exist`,
    );
  }
  return bytes;
}

/** A path that leaves the model's folder would let a model read any file. */
function checkLocation(what: string, location: string): void {
  const parts = location.split('/');
  if (/[\\:\0]/.test(location) || location.startsWith('/') || parts.some((part) => part === '..')) {
    throw new InputError(`${what} has its data in '${location}', which is outside the model's folder`);
  }
}

function parseCount(what: string, field: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InputError(`${what} has external data with ${field} '${text}', which is no byte count`);
  }
  return value;
}
