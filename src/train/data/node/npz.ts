/**
 * NumPy archives: `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test` (as in Keras' data sets).
 * Source of the formats: NEP 1 ("A simple file format for NumPy arrays"); PKWARE APPNOTE for the archive.
 */
import { unzipSync } from 'fflate';
import { parse } from 'npyjs';
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { MAX_LABEL, memoryDataset, sampleLength } from '../dataset.ts';
import { readInput } from './files.ts';
import { MAX_DEFLATE_RATIO } from './gzip.ts';

type Numbers = Exclude<ReturnType<typeof parse>['data'], DataView> & ArrayLike<number | bigint>;
export interface NpyArray {
  shape: number[];
  data: Numbers;
}

const MAX_MEMBERS = 10_000;
const MAX_MEMBER_BYTES = 2 ** 32 - 1;
/** Numbers that npyjs reads into typed arrays; others (text, booleans, complex, big-endian) are not data for a network. */
const DTYPES = /^(?:[<|](?:[iu][1248]|f[248]))$/;

export async function readNpzDataset(file: string, wanted: string | undefined): Promise<Dataset> {
  const archive = await readInput(file);
  const names = ['x', 'y', 'x_train', 'y_train', 'x_test', 'y_test'];
  const present = memberNames(file, archive).filter((name) => names.includes(name));
  const has = (suffix: string) => present.includes(`x${suffix}`) && present.includes(`y${suffix}`);
  const splits = [...(has('_test') ? ['test'] : []), ...(has('_train') ? ['train'] : [])];
  const plain = splits.length === 0;
  if (plain && !has('')) throw new InputError(`${file}: has no arrays x and y (nor x_train, y_train, x_test, y_test).`);
  if (!plain && wanted !== undefined && !splits.includes(wanted)) {
    throw new InputError(`${file}: has no arrays x_${wanted} and y_${wanted}.`);
  }
  const split = plain ? (wanted ?? 'test') : (wanted ?? splits[0]!);
  const suffix = plain ? '' : `_${split}`;
  const [xName, yName] = [`x${suffix}`, `y${suffix}`];
  const members = readMembers(file, archive, [xName, yName]);
  return npzDataset(file, split, xName, parseNpy(file, xName, members[0]!), parseNpy(file, yName, members[1]!));
}

/** Runs over the directory of the archive; `take` says which members to unpack. */
function unzip(file: string, archive: Uint8Array, take: (name: string, packed: number, unpacked: number) => boolean) {
  let members = 0;
  try {
    return unzipSync(archive, {
      filter: ({ name, size, originalSize, compression }) => {
        // The directory's own count may be a lie that would keep us busy for hours.
        if (++members > MAX_MEMBERS) throw new InputError(`${file}: has more than ${MAX_MEMBERS} members.`);
        return take(name, compression === 0 ? size : size * MAX_DEFLATE_RATIO, originalSize);
      },
    });
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(
      `${file}: is not a readable .npz (zip) file (${error instanceof Error ? error.message : error}).`,
    );
  }
}

function memberNames(file: string, archive: Uint8Array): string[] {
  const names: string[] = [];
  unzip(file, archive, (name) => {
    if (name.endsWith('.npy')) names.push(name.slice(0, -'.npy'.length));
    return false;
  });
  return names;
}

function readMembers(file: string, archive: Uint8Array, names: string[]): Uint8Array[] {
  const seen = new Set<string>();
  const members = unzip(file, archive, (name, possible, claimed) => {
    const field = name.replace(/\.npy$/, '');
    if (!name.endsWith('.npy') || !names.includes(field)) return false;
    if (seen.has(field)) throw new InputError(`${file}: has two arrays ${field}.`);
    seen.add(field);
    if (claimed > Math.min(possible, archive.length * MAX_DEFLATE_RATIO, MAX_MEMBER_BYTES)) {
      throw new InputError(`${file}: ${field} claims ${claimed} bytes, more than the file can hold.`);
    }
    return true;
  });
  return names.map((name) => {
    const bytes = members[`${name}.npy`];
    if (!bytes) throw new InputError(`${file}: has no array ${name}.`);
    return bytes;
  });
}

/** One array, row-major, with as many elements as its shape says. */
export function parseNpy(file: string, field: string, bytes: Uint8Array): NpyArray {
  const fault = (what: string) => new InputError(`${file}: ${field} ${what}.`);
  const dtype = npyDtype(bytes);
  if (dtype === undefined) throw fault('is not a NumPy array (.npy)');
  if (!DTYPES.test(dtype)) throw fault(`has dtype ${dtype}: give little-endian integers or floats`);
  let array: ReturnType<typeof parse>;
  try {
    // A copy at offset 0: npyjs makes views, and views want aligned offsets.
    array = parse(bytes.slice().buffer as ArrayBuffer);
  } catch (error) {
    throw fault(`cannot be read (${error instanceof Error ? error.message : error})`);
  }
  const data = array.data as Numbers;
  const { shape } = array;
  if (array.fortranOrder && shape.length > 1) throw fault('is in Fortran order: save np.ascontiguousarray of it');
  if (shape.some((length) => !Number.isSafeInteger(length) || length < 0)) throw fault(`has the shape (${shape})`);
  if (sampleLength(shape) !== data.length) {
    throw fault(`has the shape (${shape.join(', ')}) but ${data.length} elements`);
  }
  return { shape, data };
}

/** The dtype in an .npy header, before npyjs sees the rest: it would expand text of no length for ever. */
function npyDtype(bytes: Uint8Array): string | undefined {
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 6)) !== '\x93NUMPY') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, length] = bytes[6]! <= 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (start + length > bytes.length || length > 65536) return undefined;
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, start + length));
  return /'descr'\s*:\s*'([^']+)'/.exec(header)?.[1];
}

function npzDataset(file: string, split: string, xName: string, x: NpyArray, y: NpyArray): Dataset {
  const count = x.shape[0];
  if (count === undefined || x.data.length === 0) throw new InputError(`${file}: ${xName} holds no samples.`);
  const yName = xName.replace('x', 'y');
  const labels = labelsOf(file, yName, y);
  if (labels.length !== count) {
    throw new InputError(`${file}: ${yName} holds ${labels.length} labels, but ${xName} holds ${count} samples.`);
  }
  const samples =
    x.data instanceof Uint8Array ? x.data : Float32Array.from(x.data as ArrayLike<number | bigint>, Number);
  const { shape, planar } = toPlanar(x.shape.slice(1), samples);
  return memoryDataset({
    name: file,
    split,
    sampleShape: shape,
    classes: labels.reduce((most, label) => Math.max(most, label), 0) + 1,
    samples: planar,
    labels,
  });
}

function labelsOf(file: string, field: string, y: NpyArray): Uint32Array {
  if (!(y.shape.length === 1 || (y.shape.length === 2 && y.shape[1] === 1))) {
    throw new InputError(`${file}: ${field} has the shape (${y.shape.join(', ')}), not one label per sample.`);
  }
  return Uint32Array.from(y.data as ArrayLike<number | bigint>, (value, index) => {
    const label = Number(value);
    if (!Number.isInteger(label) || label < 0 || label > MAX_LABEL) {
      throw new InputError(`${file}: ${field}[${index}] is ${label}, not a class from 0 to ${MAX_LABEL}.`);
    }
    return label;
  });
}

/** Images of rank 3 with 1 or 3 channels last become channels first; images of rank 2 get their one channel. */
function toPlanar<T extends Uint8Array | Float32Array>(shape: number[], samples: T): { shape: number[]; planar: T } {
  if (shape.length === 2 && samples instanceof Uint8Array) return { shape: [1, ...shape], planar: samples };
  const [height, width, channels] = shape as [number, number, number];
  const isColour = (length: number) => length === 1 || length === 3;
  if (shape.length !== 3 || !isColour(channels) || isColour(height)) return { shape, planar: samples };
  if (channels === 1) return { shape: [1, height, width], planar: samples };
  const plane = height * width;
  const planar = samples.slice() as T;
  for (let start = 0; start < samples.length; start += plane * channels) {
    for (let pixel = 0; pixel < plane; pixel++) {
      for (let c = 0; c < channels; c++) planar[start + c * plane + pixel] = samples[start + pixel * channels + c]!;
    }
  }
  return { shape: [channels, height, width], planar };
}
