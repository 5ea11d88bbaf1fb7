import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { copyShader, dotI8Shader, multiplyAddShader } from '../../src/kernels/generated/probe.ts';
import { fractionOfRoof, measureRoof, type Roof } from '../../src/kernels/roof.ts';
import { cachedRoof, readRoof, roofFile } from '../../src/kernels/roofCache.node.ts';
import { spread } from '../../src/kernels/spread.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';

/** The quickest measurement that there is: a few replays of each probe. */
const QUICK = { seconds: 0.01 };

describe('probes do the work that they are counted for', () => {
  it.for([
    { chains: 4, S: 'f32', T: 'vec4f' },
    { chains: 8, S: 'f32', T: 'vec4f' },
    { chains: 8, S: 'f16', T: 'vec4h' },
  ])('multiply-adds of $S, $chains registers', async ({ chains, S, T }, { skip }) => {
    const gpu = await testGpu();
    if (S === 'f16' && !gpu.capabilities.f16) skip('the adapter has no f16');
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('f32', 4 * 16);
    const [rounds, x, y] = [3, 0.5, 0.25];
    recorder.dispatch(multiplyAddShader, {
      operands: { out },
      args: { rounds, x, y },
      tunables: { WG: 8, CHAINS: chains, S, T },
      workgroups: [2, 1, 1],
    });
    await recorder.run();
    const values = await recorder.read(out);
    const expected = Array.from({ length: 64 }, (_, i) => {
      let sum = 0;
      for (let chain = 0; chain < 8; chain++) {
        let acc = Math.floor(i / 4) + chain;
        for (let step = 0; step < (chain < chains ? 4 * rounds : 0); step++) acc = Math.fround(acc * x + y);
        sum += acc;
      }
      return sum;
    });
    expected.forEach((value, i) => {
      // Values settle near 0.5; eleven bits in f16, and eight of them are added.
      expect(Math.abs(values[i]! - value)).toBeLessThan(S === 'f16' ? 0.1 : 1e-4);
    });
    recorder.dispose();
  });

  it('packed products', async ({ skip }) => {
    const gpu = await testGpu();
    if (!gpu.capabilities.packedDot) skip('the language has no packed products');
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('i32', 16);
    const [rounds, weights] = [3, 0x01fe03fd];
    recorder.dispatch(dotI8Shader, {
      operands: { out },
      args: { rounds, weights },
      tunables: { WG: 8 },
      workgroups: [2, 1, 1],
    });
    await recorder.run();
    const bytes = (word: number) => [0, 8, 16, 24].map((shift) => ((word >> shift) << 24) >> 24);
    const dot = (a: number, b: number) => bytes(a).reduce((sum, value, i) => sum + value * bytes(b)[i]!, 0);
    const expected = Int32Array.from({ length: 16 }, (_, id) => {
      let sum = 0;
      for (const start of [0, 7, 11, 13]) {
        for (let lane = 0; lane < 4; lane++) {
          let acc = 4 * id + lane + start;
          for (let step = 0; step < 4 * rounds; step++) acc = (acc + dot(acc, weights)) | 0;
          sum = (sum + acc) | 0;
        }
      }
      return sum;
    });
    const read = await gpu.read({ ...out.slice, size: 64 });
    expect(new Int32Array(read)).toEqual(expected);
    recorder.dispose();
  });

  it('the copy', async () => {
    const gpu = await testGpu();
    const recorder = new DirectRecorder(gpu);
    const data = randomFloats(3, 4 * 1001);
    const x = recorder.upload('f32', data);
    const out = recorder.temporary('f32', data.length);
    const { wg, span, workgroups } = spread(gpu.capabilities, 1001);
    recorder.dispatch(copyShader, {
      operands: { x, out },
      args: { n: 1001, span },
      tunables: { WG: wg },
      workgroups,
    });
    await recorder.run();
    expect(await recorder.read(out)).toEqual(data);
    recorder.dispose();
  });
});

describe('the roof', () => {
  it('has a rate for everything that the adapter does, in the range of machines', async () => {
    const gpu = await testGpu();
    const roof = await measureRoof(gpu, QUICK);
    const { f16, packedDot } = gpu.capabilities;
    expect(Object.keys(roof).sort()).toEqual(
      ['bandwidth', 'f32', ...(f16 ? ['f16'] : []), ...(packedDot ? ['int8'] : [])].sort(),
    );
    // From a busy processor core to ten times the largest GPU of today.
    for (const rate of Object.values(roof)) {
      expect(rate).toBeGreaterThan(0.01);
      expect(rate).toBeLessThan(1e6);
    }
    expect(gpu.buffers.statistics.bytes).toBeLessThan(2 ** 20);
  });

  it('limits a dispatch by arithmetic or by memory, whichever takes longer', () => {
    const roof: Roof = { f32: 100, int8: 400, bandwidth: 10 };
    // 1e6 operations take 10 µs at least; 1e5 bytes take 10 µs.
    expect(fractionOfRoof(roof, { flops: 1e6 }, 1e4, 20)).toBeCloseTo(0.5, 12);
    expect(fractionOfRoof(roof, { flops: 1e3 }, 1e5, 40)).toBeCloseTo(0.25, 12);
    expect(fractionOfRoof(roof, { ops: 4e6 }, 0, 10)).toBeCloseTo(1, 12);
    expect(fractionOfRoof(roof, {}, 1e5, 0)).toBe(0);
  });
});

describe('the cache of roofs', () => {
  const before = process.env.XDG_CACHE_HOME;
  let folder: string | undefined;
  afterEach(() => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    if (folder) rmSync(folder, { recursive: true });
    folder = undefined;
  });
  const useFolder = () => {
    folder = mkdtempSync(join(tmpdir(), 'wgslim-roof-'));
    process.env.XDG_CACHE_HOME = folder;
  };

  it('measures once and reads afterwards, unless told to measure again', async () => {
    const gpu = await testGpu();
    useFolder();
    const first = await cachedRoof(gpu, QUICK);
    expect(first.isCached).toBe(false);
    expect(JSON.parse(readFileSync(first.file, 'utf8'))).toEqual(first.roof);
    const second = await cachedRoof(gpu, QUICK);
    expect(second).toEqual({ ...first, isCached: true });
    expect((await cachedRoof(gpu, { ...QUICK, fresh: true })).isCached).toBe(false);
  });

  it('does not take figures that are damaged or not all there', async () => {
    const { capabilities } = await testGpu();
    useFolder();
    const file = join(folder!, 'roof.json');
    const read = (text: string, has: { f16: boolean; packedDot: boolean }) => {
      writeFileSync(file, text);
      return readRoof(file, { ...capabilities, ...has });
    };
    const plain = { f16: false, packedDot: false };
    expect(read('{"f32": 40, "bandwidth": 8}', plain)).toEqual({ f32: 40, bandwidth: 8 });
    expect(read('{"f32": 40, "bandwidth": 8}', { ...plain, packedDot: true })).toBeUndefined();
    expect(read('{"f32": 40, "bandwidth": 8}', { ...plain, f16: true })).toBeUndefined();
    for (const text of ['', 'null', '[]', '{"f32": -1, "bandwidth": 1}', '{"f32": "fast", "bandwidth": 1}']) {
      expect(read(text, plain)).toBeUndefined();
    }
    expect(readRoof(join(folder!, 'absent.json'), { ...capabilities, ...plain })).toBeUndefined();
  });

  it('keeps adapters and drivers apart', async () => {
    const { capabilities } = await testGpu();
    const files = [capabilities, { ...capabilities, name: 'other' }, { ...capabilities, driver: 'other' }].map(
      roofFile,
    );
    expect(new Set(files).size).toBe(3);
  });
});
