import { describe, expect, it } from 'vitest';
import type { Capabilities } from '../../src/gpu/capabilities.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { inUnits, reduceSum, splitReduction } from '../../src/kernels/reduceSum.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { eachIndex, stridesOf } from '../support/reference/reference.ts';

function sumOver(data: Float32Array, shape: readonly number[], axes: readonly number[]): number[] {
  const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const strides = stridesOf(kept);
  const sums = new Array<number>(kept.reduce((product, length) => product * length, 1)).fill(0);
  eachIndex(shape, (index, flat) => {
    sums[index.reduce((at, i, axis) => at + (axes.includes(axis) ? 0 : i * strides[axis]!), 0)]! += data[flat]!;
  });
  return sums;
}

describe('splitReduction', () => {
  const choose = (outputs: number, length: number, innermostReduced: boolean, kind: 'gpu' | 'cpu') =>
    splitReduction({ outputs, length, innermostReduced }, { kind });

  it('gives a sum to one invocation where there are enough sums', () => {
    expect(choose(100_000, 16, true, 'gpu')).toEqual({ lanes: 1, splits: 1, chunk: 16 });
    expect(choose(512, 64, false, 'cpu')).toEqual({ lanes: 1, splits: 1, chunk: 64 });
  });

  it('lets a workgroup of a GPU share a sum of neighbours', () => {
    expect(choose(1000, 1024, true, 'gpu')).toEqual({ lanes: 64, splits: 1, chunk: 1024 });
    expect(choose(1000, 1024, true, 'cpu').lanes).toBe(1);
  });

  it('splits long sums, into parts that cover them', () => {
    for (const kind of ['gpu', 'cpu'] as const) {
      for (const length of [50_000, 1_000_003]) {
        const { splits, chunk, lanes } = choose(3, length, true, kind);
        expect(splits).toBeGreaterThan(1);
        expect(splits).toBeLessThanOrEqual(1024);
        expect(splits * chunk).toBeGreaterThanOrEqual(length);
        expect((splits - 1) * chunk).toBeLessThan(length);
        expect(chunk / lanes).toBeLessThanOrEqual(4096);
      }
    }
  });

  it('survives sums of nothing', () => {
    expect(choose(4, 0, true, 'cpu')).toEqual({ lanes: 1, splits: 1, chunk: 0 });
  });
});

describe('inUnits', () => {
  it('takes vectors where neighbours are summed and none is cut', () => {
    // [2, 3, 8] over the axes 0 and 2.
    expect(
      inUnits(
        [{ size: 3, stride: 8 }],
        [
          { size: 8, stride: 1 },
          { size: 2, stride: 24 },
        ],
      ),
    ).toEqual({
      width: 4,
      kept: [{ size: 3, stride: 2 }],
      reduced: [
        { size: 2, stride: 1 },
        { size: 2, stride: 6 },
      ],
    });
    expect(inUnits([{ size: 3, stride: 6 }], [{ size: 6, stride: 1 }]).width).toBe(1);
    expect(inUnits([{ size: 4, stride: 1 }], [{ size: 8, stride: 4 }]).width).toBe(1);
    expect(inUnits([], []).width).toBe(1);
  });
});

describe('reduceSum', () => {
  // The choice for a GPU has to be right on any adapter, so both run here.
  it.each(['gpu', 'cpu'] as const)('sums with the choice made for a %s', async (kind) => {
    const gpu = await testGpu();
    const cases: [number[], number[]][] = [
      [[4], [0]],
      [[3, 5], []],
      [[70, 130], [1]],
      [[130, 70], [0]],
      [
        [5, 3, 40],
        [0, 2],
      ],
      [[3, 5000], [1]],
      [
        [9, 3, 4, 12],
        [0, 2, 3],
      ],
      [
        [3, 2, 5, 8],
        [1, 3],
      ],
      [[9001, 3], [0]],
      [[1, 20001, 1], [1]],
      [
        [2, 3, 2, 3, 2, 3, 2, 3],
        [0, 2, 4, 6],
      ],
      [
        [2, 3, 2, 3, 2, 3, 2, 3],
        [1, 3, 5, 7],
      ],
      [[3, 0], [1]],
    ];
    for (const [shape, axes] of cases) {
      const recorder = new DirectRecorder(gpu);
      Object.defineProperty(recorder, 'capabilities', { value: { ...gpu.capabilities, kind } satisfies Capabilities });
      // Positive, so that an element that is missed or counted twice cannot hide.
      const data = randomFloats(
        3,
        shape.reduce((product, length) => product * length, 1),
        0.5,
        1.5,
      );
      const expected = sumOver(data, shape, axes);
      const out = recorder.temporary('f32', expected.length);
      reduceSum(recorder, { x: recorder.upload('f32', data), out, shape, axes, scale: 0.25 });
      await recorder.run();
      const actual = await recorder.read(out);
      expected.forEach((sum, i) => {
        expect(Math.abs(actual[i]! - 0.25 * sum), `[${shape}] over ${axes}`).toBeLessThanOrEqual(2e-6 * sum);
      });
      recorder.dispose();
    }
  });

  it('refuses more alternations than it can walk', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const [x, out] = [recorder.temporary('f32', 512), recorder.temporary('f32', 16)];
    const shape = new Array(9).fill(2);
    expect(() => reduceSum(recorder, { x, out, shape, axes: [0, 2, 4, 6, 8] })).toThrow(/more than 4 times/);
    recorder.dispose();
  });
});
