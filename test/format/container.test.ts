// biome-ignore-all lint/suspicious/noExplicitAny: parsed JSON that is broken on purpose.
import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { readContainer, sortTensors, writeContainer } from '../../src/format/safetensors.ts';
import { InputError } from '../../src/graph/errors.ts';
import { everyEncoding } from './everyEncoding.ts';
import { lenet } from './models.ts';
import { reseal, withGraph, withHeader } from './tamper.ts';

const name = { fileName: 'm.wgslim' };
const lenetFile = () => {
  const { graph, encodings, meta } = lenet(0.9, 4);
  return encodeModel(graph, encodings, meta);
};
const everyFile = () => {
  const { graph, encodings, meta } = everyEncoding();
  return encodeModel(graph, encodings, meta);
};

/** The rules of the official format description and of its reference reader's `validate`. */
function checkSafetensors(
  file: Uint8Array,
): Record<string, { dtype: string; shape: number[]; data_offsets: number[] }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  expect(length).toBeLessThanOrEqual(100_000_000);
  expect(length % 8).toBe(0);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + length));
  expect(text[0]).toBe('{');
  expect(text.trimEnd().endsWith('}')).toBe(true);
  const { __metadata__, ...entries } = JSON.parse(text);
  for (const value of Object.values(__metadata__)) expect(typeof value).toBe('string');
  const sizes: Record<string, number> = { U8: 1, BOOL: 1, F16: 2, F32: 4, I32: 4, F64: 8, I64: 8 };
  const sorted = Object.values<any>(entries).sort((a, b) => a.data_offsets[0] - b.data_offsets[0]);
  let next = 0;
  for (const { dtype, shape, data_offsets, ...rest } of sorted) {
    expect(rest).toEqual({});
    expect(data_offsets[0]).toBe(next);
    next = data_offsets[1];
    expect(next - data_offsets[0]).toBe(shape.reduce((a: number, b: number) => a * b, 1) * sizes[dtype]!);
    expect(data_offsets[0] % sizes[dtype]!).toBe(0);
  }
  expect(8 + length + next).toBe(file.length);
  return entries;
}

describe('the container', () => {
  it('follows the rules of safetensors', () => {
    expect(Object.keys(checkSafetensors(lenetFile()))).toEqual(['fc1.weight', 'fc2.weight', 'wgslim.pool']);
    const entries = checkSafetensors(everyFile());
    expect(entries['7']).toMatchObject({ dtype: 'F32', shape: [300] });
    expect(entries.large).toMatchObject({ dtype: 'I32', shape: [300] });
  });

  it('gives back what was written, whatever the names', () => {
    const tensors = ['b', '10', '9', '__proto__', 'toString', 'a"\\\u0000é'].map((key, i) => ({
      name: key,
      dtype: i % 2 ? 'U8' : 'F32',
      shape: i % 2 ? [i] : [i, 1],
      bytes: new Uint8Array(i % 2 ? i : 4 * i).fill(i),
    }));
    const sorted = sortTensors(tensors);
    const file = writeContainer([['k', 'v "quoted"']], sorted);
    checkSafetensors(file);
    const { metadata, tensors: found } = readContainer(file, 'f');
    expect([...metadata]).toEqual([['k', 'v "quoted"']]);
    expect([...found.values()].map((t) => [t.name, t.dtype, t.shape, t.bytes])).toEqual(
      sorted.map((t) => [t.name, t.dtype, t.shape, t.bytes]),
    );
  });
});

describe('a damaged or absurd file is refused with its name and field', () => {
  const refuse = (file: Uint8Array, message: RegExp) => {
    expect(() => decodeModel(file, name)).toThrow(InputError);
    expect(() => decodeModel(file, name)).toThrow(message);
  };
  it('truncated anywhere', () => {
    const file = lenetFile();
    for (const length of [0, 7, 8, 9, 100, 2000, file.length - 1]) refuse(file.subarray(0, length), /^m\.wgslim/);
  });

  it('longer than its tensors', () => {
    refuse(Uint8Array.of(...lenetFile(), 0), /the tensors end at byte/);
  });

  it('of another version, or none', () => {
    const version = (text: string | undefined) =>
      withHeader(lenetFile(), (header) => {
        header.__metadata__['wgslim.version'] = text;
      });
    refuse(version('2'), /wgslim\.version is "2", but this wgslim reads version 1: update wgslim/);
    refuse(version(undefined), /without wgslim\.version/);
  });

  it('with a bit flipped in the payload', () => {
    const file = lenetFile();
    file[file.length - 5]! ^= 4;
    refuse(file, /wgslim\.crc32 does not fit/);
  });

  it.each<[string, (header: any) => void, RegExp]>([
    ['a hole', (h) => Object.assign(h['fc2.weight'], { shape: [1434], data_offsets: [5903, 7337] }), /leaves a hole/],
    ['an overlap', (h) => Object.assign(h['fc2.weight'], { shape: [1436], data_offsets: [5901, 7337] }), /overlaps/],
    ['a shape that overflows', (h) => (h['fc2.weight'].shape = [2 ** 30, 2 ** 30, 16]), /"fc2\.weight": the shape/],
    ['a negative dimension', (h) => (h['fc2.weight'].shape = [-1, -1435]), /a dimension is -1/],
    ['an offset past the end', (h) => (h['fc2.weight'].data_offsets[1] = 1e15), /data_offsets\[1\]/],
    ['an unknown dtype', (h) => (h['fc2.weight'].dtype = 'F8_E5M2'), /dtype "F8_E5M2"/],
    ['metadata that is no text', (h) => (h.__metadata__.x = 1), /"x" is not a string/],
    [
      'an entry of another name',
      (h) => delete Object.assign(h, { other: h['fc2.weight'] })['fc2.weight'],
      /fc2\.weight" takes/,
    ],
  ])('%s', (_, change, message) => {
    refuse(withHeader(lenetFile(), change), message);
  });

  it.each<[string, (graph: any) => void, RegExp]>([
    [
      'an unknown encoding',
      (g) => {
        g.s.push('rans');
        g.t[0][2] = g.s.filter((s: unknown) => typeof s === 'string').length - 1;
      },
      /has encoding "rans", which this version cannot read/,
    ],
    ['a huge shape', (g) => (g.t[0][1] = [1e9]), /conv1\.weight/],
    ['a shape that overflows', (g) => (g.t[0][1] = [2 ** 31 - 1, 2 ** 31 - 1]), /the number of elements/],
    ['a fractional dimension', (g) => (g.t[0][1] = [6, 25.5]), /a dimension is 25\.5/],
    ['nine bits', (g) => (g.t[0][3].b = 9), /parameter b is 9/],
    ['no bits', (g) => delete g.t[0][3].b, /parameter b is undefined/],
    ['an axis too many', (g) => (g.t[0][3].a = 4), /parameter a is 4/],
    ['more values than elements', (g) => (g.t[0][3].n = 151), /parameter n is 151/],
    ['more gaps than bytes', (g) => (g.t[0][3].m = 1e9), /takes \d+ bytes, but \d+ are left/],
    ['an unknown parameter', (g) => (g.t[0][3].q = 1), /"q" is not a parameter/],
    ['a name index past the end', (g) => (g.t[0][0] = 999), /string index\) is 999/],
    ['an initializer twice', (g) => (g.t[1][0] = g.t[0][0]), /occurs twice/],
    ['a cycle', (g) => (g.n[0][2][0] = g.n[1][3][0]), /depends on its own output/],
    ['an input of nothing', (g) => (g.i[0][0] = 'other'), /image/],
    ['an attribute list past the end', (g) => (g.n[0][4] = 99), /node 0: the index of its attributes is 99/],
    ['an inline value too large', (g) => (g.t[10][3].v = [1, '9223372036854775808']), /is not a value of int64/],
    ['an inline value too few', (g) => (g.t[10][3].v = [1]), /number of elements is 1/],
    ['a prefix longer than its string', (g) => (g.s[1] = 200), /a prefix length is 200/],
  ])('%s', (_, change, message) => {
    refuse(withGraph(lenetFile(), change), message);
    refuse(withGraph(lenetFile(), change), /^m\.wgslim: /);
  });

  it('a sparse stream that does not fit its shape', () => {
    const at = [...decodeModel(everyFile(), name).encodings.keys()].indexOf('block.f32.gap');
    refuse(
      withGraph(everyFile(), (g) => (g.t[at][1] = [3, 11])),
      /"block\.f32\.gap": its gap does not place \d+ of 33 elements/,
    );
    const file = everyFile();
    const bitmap = decodeModel(file, name).encodings.get('block.f32.bitmap')!.index;
    file[bitmap.byteOffset - file.byteOffset]! ^= 1;
    refuse(reseal(file), /"block\.f32\.bitmap": its bitmap does not place \d+ of 21 elements/);
  });

  it('a scale that is not a number', () => {
    const file = everyFile();
    const { index, scale } = decodeModel(file, name).encodings.get('block.int1.bitmap')!;
    new DataView(file.buffer, index.byteOffset - 4 * scale!.length).setFloat32(0, Number.NaN, true);
    refuse(reseal(file), /a scale is negative or not finite/);
  });
});
