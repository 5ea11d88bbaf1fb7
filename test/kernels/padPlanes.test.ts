import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { padPlanes } from '../../src/kernels/padPlanes.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

/** [planes, height, width], [top, left, bottom, right] */
const cases: [number[], number[]][] = [
  [
    [5, 8, 8],
    [1, 1, 1, 1],
  ],
  [
    [3, 5, 12],
    [0, 2, 1, 3],
  ],
  [
    [70, 7, 5],
    [2, 1, 0, 2],
  ],
  [
    [2, 1, 3],
    [0, 4, 0, 0],
  ],
  [
    [3, 6, 8],
    [-1, 2, 1, -3],
  ],
  [
    [3, 6, 8],
    [1, -2, -2, 1],
  ],
  [
    [2, 4, 4],
    [3, -3, -4, -1],
  ],
];

describe.each(KINDS)('padPlanes as on a %s', (kind) => {
  it.each(cases)('%j by %j', async ([planes, h, w], [top, left, bottom, right]) => {
    const recorder = new DirectRecorder(await testGpu());
    const data = randomFloats(1, planes * h * w);
    const x = recorder.upload('f32', data);
    const padding = { top, left, bottom, right };
    const padded = padPlanes(recorderOfKind(recorder, kind), { x, planes, h, w, padding, label: 'padding' });
    await recorder.run();
    const inner = w + left + right;
    expect([padded.h, padded.w]).toEqual([h + top + bottom, kind === 'cpu' ? Math.ceil(inner / 4) * 4 : inner]);
    const at = (plane: number, y: number, column: number) =>
      y < 0 || y >= h || column < 0 || column >= w ? 0 : data[(plane * h + y) * w + column];
    const expected = Float32Array.from({ length: planes * padded.h * padded.w }, (_, i) => {
      const row = Math.floor(i / padded.w);
      return at(Math.floor(row / padded.h), (row % padded.h) - top, (i % padded.w) - left);
    });
    expect(await recorder.read(padded.operand as Parameters<typeof recorder.read>[0])).toEqual(expected);
    recorder.dispose();
  });

  it('returns what needs no padding', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const x = recorder.temporary('f32', 12);
    const padding = { top: 0, left: 0, bottom: 0, right: 0 };
    expect(padPlanes(recorder, { x, planes: 1, h: 3, w: 4, padding, label: 'padding' }).operand).toBe(x);
    recorder.dispose();
  });
});
