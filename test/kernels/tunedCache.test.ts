import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { indexedDbTuning } from '../../src/kernels/tune/indexedDb.ts';
import { adapterKey, mergeInto, readEntries } from '../../src/kernels/tune/store.ts';
import { fileTuning, nodeAdapterKey, readTuned, tunedFile } from '../../src/kernels/tunedCache.node.ts';
import { testGpu } from '../support/gpu.ts';
import { fakeIndexedDb } from './tune/fakeIndexedDb.ts';

let folder: string;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-tuned-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function inFolder<T>(use: () => Promise<T>): Promise<T> {
  // The adapter's own cache of shaders must stay where it is.
  await testGpu();
  process.env.XDG_CACHE_HOME = folder;
  try {
    return await use();
  } finally {
    if (cache === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cache;
  }
}

describe.each([
  ['a file', () => fileTuning],
  ['IndexedDB', () => indexedDbTuning(fakeIndexedDb())],
])('a table in %s', (_, make) => {
  it('comes back for its adapter alone, newer entries over older ones', () =>
    inFolder(async () => {
      const store = make();
      expect(await store.read('a')).toBeUndefined();
      await mergeInto(
        store,
        'a',
        new Map([
          ['x', '1'],
          ['y', '1'],
        ]),
      );
      await mergeInto(
        store,
        'a',
        new Map([
          ['y', '2'],
          ['z', '2'],
        ]),
      );
      expect([...(await store.read('a'))!].sort()).toEqual([
        ['x', '1'],
        ['y', '2'],
        ['z', '2'],
      ]);
      expect(await store.read('b')).toBeUndefined();
    }));
});

describe('the file', () => {
  it('counts as none where it is damaged or another adapter’s', () =>
    inFolder(async () => {
      await fileTuning.write('c', new Map([['x', '1']]));
      expect(readTuned('c')).toEqual(new Map([['x', '1']]));
      for (const text of [
        '',
        '{',
        'null',
        '[]',
        '{"adapter":"d","choices":{"x":"1"}}',
        '{"adapter":"c"}',
        '{"adapter":"c","choices":[1]}',
      ]) {
        await writeFile(tunedFile('c'), text);
        expect(readTuned('c'), text).toBeUndefined();
      }
    }));

  it('is another for another driver or processor', async () => {
    const { capabilities } = await testGpu();
    expect(adapterKey({ ...capabilities, driver: 'other' })).not.toBe(adapterKey(capabilities));
    expect(adapterKey(capabilities, 'one')).not.toBe(adapterKey(capabilities, 'two'));
    expect(tunedFile(nodeAdapterKey(capabilities))).toMatch(/tuned-[0-9a-f]{16}\.json$/);
  });
});

describe('entries', () => {
  it('are texts by texts of reasonable length, or nothing', () => {
    expect(readEntries({ a: '1', b: 2, c: null, d: 'x'.repeat(100), ['e'.repeat(300)]: '1' })).toEqual(
      new Map([['a', '1']]),
    );
    for (const value of [undefined, null, 1, 'text', [['a', '1']]]) expect(readEntries(value)).toBeUndefined();
  });
});
