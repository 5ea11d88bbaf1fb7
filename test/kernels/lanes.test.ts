import { expect, it } from 'vitest';
import { rowLanes } from '../../src/kernels/lanes.ts';

it('gives long rows a whole workgroup and short ones a part of it', () => {
  expect(rowLanes(1)).toEqual({ LANES: 1, ROWS: 64, WG: 64 });
  expect(rowLanes(10)).toEqual({ LANES: 4, ROWS: 16, WG: 64 });
  expect(rowLanes(1000)).toEqual({ LANES: 64, ROWS: 1, WG: 64 });
  for (let length = 1; length < 300; length++) {
    const { LANES, ROWS, WG } = rowLanes(length);
    expect(LANES * ROWS).toBe(WG);
    expect(Math.log2(LANES) % 1).toBe(0);
  }
});
