import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { describeModel } from '../../src/format/describeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { InputError } from '../../src/graph/errors.ts';
import { everyEncoding } from './everyEncoding.ts';
import { lenet, randomSource } from './models.ts';
import { mutateJson } from './mutate.ts';
import { assemble, reseal, split, withGraph, withHeader } from './tamper.ts';

const options = { fileName: 'fuzzed.wgslim' };
const files = [everyEncoding(), lenet(0.9, 4)].map(({ graph, encodings, meta }) => encodeModel(graph, encodings, meta));

/** Reads a mutated file: a model whose tensors have the sizes they claim, or an InputError of one line. */
function attempt(file: Uint8Array): 'read' | 'refused' {
  const start = performance.now();
  try {
    const model = decodeModel(file, options);
    let bytes = 0;
    for (const { shape, data } of model.graph.initializers.values()) {
      // Thousands of `expect` would take most of the time.
      if (data.length !== shape.reduce((a, b) => a * b, 1)) throw new Error(`[${shape}] has ${data.length} elements`);
      bytes += data.byteLength;
    }
    expect(bytes).toBeLessThanOrEqual(1100 * file.length);
    describeModel(model);
    return 'read';
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).toMatch(/^fuzzed\.wgslim[^\n]{5,400}$/);
    return 'refused';
  } finally {
    expect(performance.now() - start).toBeLessThan(5000);
  }
}

describe('thousands of mutated files are read or refused, nothing else', () => {
  it('flipped bits: every one is noticed', () => {
    const random = randomSource(1);
    for (let i = 0; i < 1500; i++) {
      const file = files[i % 2]!.slice();
      file[Math.floor(random() * file.length)]! ^= 1 << Math.floor(random() * 8);
      expect(attempt(file)).toBe('refused');
    }
  });

  it('truncations and splices', () => {
    const random = randomSource(2);
    for (let i = 0; i < 600; i++) {
      const file = files[i % 2]!;
      const at = Math.floor(random() * file.length);
      const to = Math.floor(random() * file.length);
      const mutated = i % 3 === 0 ? file.subarray(0, at) : Uint8Array.of(...file.subarray(0, at), ...file.subarray(to));
      if (at !== to) expect(attempt(mutated)).toBe('refused');
    }
  });

  it('random payloads under a valid checksum', () => {
    const random = randomSource(3);
    const outcomes = { read: 0, refused: 0 };
    for (let i = 0; i < 1000; i++) {
      const { header, payload } = split(files[i % 2]!);
      for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
        payload[Math.floor(random() * payload.length)] = Math.floor(random() * 256);
      }
      outcomes[attempt(assemble(header, payload))]++;
    }
    expect(outcomes.read).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  it('hostile graphs under a valid checksum', () => {
    const random = randomSource(4);
    const outcomes = { read: 0, refused: 0 };
    for (let i = 0; i < 2500; i++) {
      const file = withGraph(files[i % 2]!, (graph) => {
        for (let n = 1 + Math.floor(random() * 3); n > 0; n--) mutateJson(graph, random);
      });
      outcomes[attempt(file)]++;
    }
    expect(outcomes.read).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(1000);
  });

  it('hostile headers', () => {
    const random = randomSource(5);
    for (let i = 0; i < 1000; i++) {
      attempt(
        withHeader(files[i % 2]!, (header) => {
          for (let n = 1 + Math.floor(random() * 2); n > 0; n--) mutateJson(header, random);
          if (typeof header.__metadata__ !== 'object') delete header.__metadata__;
        }),
      );
    }
  });

  it('bytes that are no file at all', () => {
    const random = randomSource(6);
    for (let i = 0; i < 300; i++) {
      const file = Uint8Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));
      if (i % 2 && file.length > 8) file.set([file.length - 8, 0, 0, 0, 0, 0, 0, 0]);
      expect(attempt(file)).toBe('refused');
    }
  });

  it('a gigabyte claimed by a kilobyte', () => {
    const { header, payload } = split(files[1]!);
    const graph = JSON.parse(header.__metadata__['wgslim.graph']);
    const f32 =
      graph.s.push('f32.gap', 'f32.bitmap') && graph.s.filter((s: unknown) => typeof s === 'string').length - 2;
    for (const [encoding, parameters] of [
      [f32, { n: 0, k: 8, m: 4 }],
      [f32, { n: 0, k: 8, m: 2 ** 31 }],
      [f32 + 1, { n: 0 }],
      [graph.t[1][2], undefined],
    ]) {
      for (const shape of [[2 ** 28], [2 ** 31 - 1], [65535, 16384], [0, 2 ** 31 - 1]]) {
        const hostile = structuredClone(graph);
        hostile.t[0] = [graph.t[0][0], shape, encoding, ...(parameters ? [parameters] : [])];
        header.__metadata__['wgslim.graph'] = JSON.stringify(hostile);
        const before = process.memoryUsage().arrayBuffers;
        expect(attempt(assemble(header, payload))).toBe('refused');
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6);
      }
    }
  });

  it('names that unfold without end', () => {
    const long = 'a'.repeat(255);
    const file = withGraph(files[1]!, (graph) => {
      for (let i = 0; i < 20_000; i++) graph.s.push(...(i ? [255] : []), i ? `${i}` : long);
    });
    expect(attempt(file)).toBe('read');
    expect(attempt(withGraph(files[1]!, (graph) => graph.s.push('b'.repeat(5000), 5000, 'x')))).toBe('refused');
    expect(attempt(reseal(files[0]!))).toBe('read');
  });
});
