/** The incremental reader against the one of whole files, in pieces of every size. */
import { describe, expect, it } from 'vitest';
import { decodeArrived, decodeModel } from '../../src/format/decodeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { ModelReader } from '../../src/format/modelReader.ts';
import { InputError } from '../../src/graph/errors.ts';
import { everyEncoding } from './everyEncoding.ts';
import { lenet, randomSource } from './models.ts';

const files = [everyEncoding(), lenet(0.9, 4)].map(({ graph, encodings, meta }) => encodeModel(graph, encodings, meta));

/** Feeds a file in pieces; returns how many tensors had arrived after each. */
function feed(file: Uint8Array, next: () => number, fileBytes?: number) {
  const reader = new ModelReader('piecewise', fileBytes);
  const arrived: number[] = [];
  const tensors = [];
  for (let at = 0; at < file.length; ) {
    const size = Math.max(0, next());
    reader.push(file.slice(at, at + size));
    at += size;
    for (const one of reader.take()) tensors[one.index] = { ...decodeArrived(one), name: one.tensor.name };
    arrived.push(tensors.filter(Boolean).length);
  }
  reader.finish();
  return { reader, tensors, arrived };
}

describe('a file read in pieces', () => {
  it.each([
    ['single bytes', () => 1],
    ['63 bytes', () => 63],
    ['random pieces, empty ones too', randomPieces(1, 500)],
    ['the whole', () => 1e9],
  ])('%s: the same tensors, header and bytes', (_, next) => {
    for (const [i, file] of files.entries()) {
      const whole = decodeModel(file, { fileName: 'whole' });
      const { reader, tensors } = feed(file, next, i ? file.length : undefined);
      expect(reader.bytes).toEqual(file);
      expect(reader.header!.meta).toEqual(whole.meta);
      for (const { name, shape, data } of tensors) {
        if (name === '') continue;
        expect(shape).toEqual(whole.graph.initializers.get(name)!.shape);
        expect(data).toEqual(whole.graph.initializers.get(name)!.data);
      }
      expect(tensors.filter(({ name }) => name !== '')).toHaveLength(whole.graph.initializers.size);
    }
  });

  it('knows the header before the payload, and each tensor when its last byte is there', () => {
    const file = files[1]!;
    const { headerBytes } = decodeModel(file, { fileName: 'whole' }).file;
    const reader = new ModelReader('piecewise');
    reader.push(file.slice(0, headerBytes - 1));
    expect(reader.header).toBeUndefined();
    reader.push(file.slice(headerBytes - 1, headerBytes));
    const { places, payloadBytes } = reader.header!;
    expect(headerBytes + payloadBytes).toBe(file.length);
    const total = new Set<number>(reader.take().map(({ index }) => index));
    for (let at = headerBytes; at < file.length; at++) {
      reader.push(file.slice(at, at + 1));
      for (const { index } of reader.take()) {
        expect(at + 1 - headerBytes).toBe(places[index]!.end);
        total.add(index);
      }
    }
    expect(total.size).toBe(places.length);
  });

  it('refuses what is missing, too much, or damaged, as soon as it can be known', () => {
    for (const file of files) {
      for (const cut of [0, 5, 100, file.length - 1]) {
        expect(() => feed(file.slice(0, cut), () => 64)).toThrow(InputError);
      }
      expect(() => feed(Uint8Array.of(...file, 0), () => 64)).toThrow(/the tensors end at byte/);
      const damaged = file.slice();
      damaged[file.length - 3]! ^= 1;
      expect(() => feed(damaged, () => 64)).toThrow(InputError);
    }
    const claim = new ModelReader('claim');
    expect(() => claim.push(Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0))).toThrow(/header length is 4294967296/);
  });

  it('never crashes on flipped bits, and never takes such a file', () => {
    const random = randomSource(11);
    for (let i = 0; i < 400; i++) {
      const file = files[i % 2]!.slice();
      file[Math.floor(random() * file.length)]! ^= 1 << Math.floor(random() * 8);
      expect(() => feed(file, () => 997)).toThrow(InputError);
    }
  });
});

function randomPieces(seed: number, most: number): () => number {
  const random = randomSource(seed);
  return () => Math.floor(random() * most);
}
