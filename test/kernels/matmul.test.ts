import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix } from '../../src/kernels/matmul.ts';
import { matmulSubgroup } from '../../src/kernels/matmulSubgroup.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { matMul, transpose } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';

interface Case {
  m: number;
  n: number;
  k: number;
  ta: boolean;
  tb: boolean;
}

const cases: Case[] = [
  { m: 1, n: 1, k: 1, ta: false, tb: false },
  { m: 37, n: 45, k: 51, ta: false, tb: false },
  { m: 100, n: 3, k: 70, tb: true, ta: false },
  { m: 5, n: 130, k: 64, ta: true, tb: false },
  { m: 70, n: 66, k: 33, ta: true, tb: true },
  { m: 2, n: 3, k: 2050, tb: true, ta: false },
  { m: 1, n: 10, k: 300, ta: false, tb: false },
  // Columns that are whole vectors, of terms.
  { m: 37, n: 45, k: 52, ta: false, tb: true },
  { m: 1, n: 301, k: 68, ta: false, tb: true },
  { m: 190, n: 1, k: 20, ta: false, tb: false },
  // Rows between the powers of two.
  { m: 6, n: 66, k: 30, ta: true, tb: false },
  { m: 20, n: 65, k: 40, ta: false, tb: true },
  { m: 23, n: 70, k: 21, ta: false, tb: false },
  // Enough of them for tiles of 32 rows: whole vectors, and none.
  { m: 168, n: 132, k: 44, ta: false, tb: false },
  { m: 130, n: 131, k: 39, ta: true, tb: true },
  // Rows that are read as vectors, wherever in one they begin.
  { m: 150, n: 132, k: 43, ta: false, tb: false },
];

// Of a GPU, where there is nothing that they do, tiles in workgroup memory.
const alternatives = matmulSubgroup;

describe.each(KINDS)('product as a %s computes it', (kind) => {
  it.each(cases)('$m x $n x $k, transposed $ta $tb', async ({ m, n, k, ta, tb }) => {
    const recorder = new DirectRecorder(await testGpu());
    const a = randomFloats(1, m * k);
    const b = randomFloats(2, k * n);
    const bias = randomFloats(3, n);
    const out = recorder.temporary('f32', m * n);
    matmul(recorderOfKind(recorder, kind), {
      ...{ m, n, k, alpha: 0.5, beta: 2, lo: -1.5, hi: 2, alternatives },
      a: matrix(recorder.upload('f32', a), ta ? m : k, ta),
      b: matrix(recorder.upload('f32', b), tb ? k : n, tb),
      out: matrix(out, n),
      bias: { operand: recorder.upload('f32', bias), rowStride: 0, columnStride: 1 },
    });
    await recorder.run();
    const left = ta ? transpose(array64([k, m], a)) : array64([m, k], a);
    const right = tb ? transpose(array64([n, k], b)) : array64([k, n], b);
    const expected = matMul(left, right).data.map((value, i) =>
      Math.min(2, Math.max(-1.5, 0.5 * value + 2 * bias[i % n]!)),
    );
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
    recorder.dispose();
  });

  it('is the bias where there is nothing to sum', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const out = recorder.temporary('f32', 6);
    const empty = recorder.temporary('f32', 0);
    matmul(recorderOfKind(recorder, kind), {
      ...{ m: 2, n: 3, k: 0, alternatives },
      a: matrix(empty, 0),
      b: matrix(empty, 3),
      out: matrix(out, 3),
      bias: { operand: recorder.upload('f32', Float32Array.of(1, 2)), rowStride: 1, columnStride: 0 },
    });
    await recorder.run();
    expect([...(await recorder.read(out))]).toEqual([1, 1, 1, 2, 2, 2]);
    recorder.dispose();
  });

  it('is the same to the bit on every run, and lets NaN through its bounds', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const [m, n, k] = [3, 5, 3000];
    const data = randomFloats(4, m * k);
    data[k] = Number.NaN;
    const [a, b] = [recorder.upload('f32', data), recorder.upload('f32', randomFloats(5, n * k))];
    const outs = [0, 1].map(() => {
      const out = recorder.temporary('f32', m * n);
      matmul(recorderOfKind(recorder, kind), {
        ...{ m, n, k, alternatives, lo: 0, a: matrix(a, k), b: matrix(b, k, true), out: matrix(out, n) },
      });
      return out;
    });
    await recorder.run();
    const [first, second] = await Promise.all(outs.map((out) => recorder.read(out)));
    expect(first).toEqual(second);
    expect(Array.from(first!, Number.isNaN)).toEqual(Array.from({ length: m * n }, (_, i) => i >= n && i < 2 * n));
    recorder.dispose();
  });
});
