import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { isVectorCopy, mergeAxes, stridedCopy } from '../../src/kernels/stridedCopy.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

describe('mergeAxes', () => {
  it('joins axes that lie behind each other and drops those of length 1', () => {
    const axes = [
      { size: 8, from: 60, to: 60 },
      { size: 1, from: 7, to: 9 },
      { size: 3, from: 20, to: 20 },
      { size: 4, from: 5, to: 5 },
      { size: 5, from: 1, to: 1 },
    ];
    expect(mergeAxes(axes)).toEqual([{ size: 480, from: 1, to: 1 }]);
  });

  it('keeps apart what lies apart on either side', () => {
    const axes = [
      { size: 2, from: 20, to: 12 },
      { size: 3, from: 4, to: 4 },
    ];
    expect(mergeAxes(axes)).toEqual(axes);
    expect(
      mergeAxes([
        { size: 2, from: -3, to: 3 },
        { size: 3, from: -1, to: 1 },
      ]),
    ).toEqual([{ size: 6, from: -1, to: 1 }]);
  });

  it('stretches the bounds of an axis that takes in the whole of the next', () => {
    expect(
      mergeAxes([
        { size: 4, from: 12, to: 24 },
        { size: 4, from: 6, to: 6, low: 1, length: 2 },
        { size: 6, from: 1, to: 1 },
      ]),
    ).toEqual([
      { size: 4, from: 12, to: 24 },
      { size: 24, from: 1, to: 1, low: 6, length: 12 },
    ]);
  });

  it('does not lose an axis of length 1 that may lie outside', () => {
    const axes = [{ size: 1, from: 1, to: 1, low: 3, length: 5 }];
    expect(mergeAxes(axes)).toEqual(axes);
    expect(mergeAxes([])).toEqual([{ size: 1, from: 1, to: 1 }]);
  });
});

describe('isVectorCopy', () => {
  const axes = [
    { size: 3, from: 8, to: 16 },
    { size: 8, from: 1, to: 1 },
  ];
  it('wants both sides contiguous and everything a multiple of four', () => {
    expect(isVectorCopy({ axes, fromBase: 0, toBase: 8 })).toBe(true);
    expect(isVectorCopy({ axes, fromBase: 2, toBase: 8 })).toBe(false);
    expect(isVectorCopy({ axes: axes.with(0, { size: 3, from: 9, to: 16 }), fromBase: 0, toBase: 0 })).toBe(false);
    expect(isVectorCopy({ axes: axes.with(1, { size: 8, from: 2, to: 1 }), fromBase: 0, toBase: 0 })).toBe(false);
    expect(isVectorCopy({ axes: axes.with(1, { size: 6, from: 1, to: 1 }), fromBase: 0, toBase: 0 })).toBe(false);
    const checked = { size: 8, from: 1, to: 1, low: 2, length: 4 };
    expect(isVectorCopy({ axes: axes.with(1, checked), fromBase: 0, toBase: 0 })).toBe(false);
  });
});

describe.each(KINDS)('stridedCopy on a %s', (kind) => {
  async function copy(x: number[], target: number, call: Omit<Parameters<typeof stridedCopy>[1], 'x' | 'y' | 'label'>) {
    const recorder = new DirectRecorder(await testGpu());
    const y = recorder.upload('f32', new Float32Array(target).fill(-1));
    stridedCopy(recorderOfKind(recorder, kind), {
      x: recorder.upload('f32', Float32Array.from(x)),
      y,
      label: 'test',
      ...call,
    });
    await recorder.run();
    const result = [...(await recorder.read(y))];
    recorder.dispose();
    return result;
  }

  it('copies a box and leaves the rest alone', async () => {
    const axes = [
      { size: 2, from: 3, to: 4 },
      { size: 2, from: 1, to: 1 },
    ];
    expect(await copy([0, 1, 2, 3, 4, 5], 9, { axes, fromBase: 1, toBase: 2 })).toEqual([
      -1, -1, 1, 2, -1, -1, 4, 5, -1,
    ]);
  });

  it('fills what lies outside the source, four at a time where it can', async () => {
    const axes = [
      { size: 3, from: 8, to: 8, low: 1, length: 1 },
      { size: 8, from: 1, to: 1 },
    ];
    const x = [1, 2, 3, 4, 5, 6, 7, 8];
    const fill = new Array<number>(8).fill(9);
    expect(await copy(x, 24, { axes, fill: 9 })).toEqual([...fill, ...x, ...fill]);
  });

  it('walks backwards', async () => {
    expect(await copy([0, 1, 2, 3, 4], 3, { axes: [{ size: 3, from: -2, to: 1 }], fromBase: 4 })).toEqual([4, 2, 0]);
  });

  it('copies more than a workgroup takes, on six axes', async () => {
    const shape = [3, 2, 5, 3, 4, 7];
    const from = [1, 3, 6, 30, 90, 360]; // the source is stored the other way round
    const total = 2520;
    let to = total;
    const axes = shape.map((size, i) => {
      to /= size;
      return { size, from: from[i]!, to };
    });
    const x = Array.from({ length: total }, (_, i) => i);
    const result = await copy(x, total, { axes });
    const expected = x.map((flat) =>
      axes.reduce((sum, axis) => sum + (Math.floor(flat / axis.to) % axis.size) * axis.from, 0),
    );
    expect(result).toEqual(expected);
  });

  it('refuses more axes than it has', async () => {
    const axes = Array.from({ length: 7 }, (_, i) => ({ size: 2, from: 3 ** i, to: 2 ** (6 - i) }));
    await expect(copy([0], 128, { axes })).rejects.toThrow(/7 axes/);
  });
});
