import { describe, expect, it } from 'vitest';
import { isBlocksOf2x2, isPadded, type PoolWindows } from '../../src/kernels/pool.ts';

const blocks: PoolWindows = {
  ...{ n: 3, c: 5, ih: 14, iw: 18, oh: 7, ow: 9, kh: 2, kw: 2, strideH: 2, strideW: 2, dilH: 1, dilW: 1 },
  ...{ padTop: 0, padLeft: 0, padBottom: 0, padRight: 0, countIncludePad: false },
};

describe('the choice of pooling kernels', () => {
  it('knows blocks of 2x2 from everything that resembles them', () => {
    expect(isBlocksOf2x2(blocks)).toBe(true);
    for (const change of [{ ih: 15 }, { iw: 19 }, { strideH: 1 }, { kw: 3 }, { dilH: 2 }, { padTop: 1 }]) {
      expect(isBlocksOf2x2({ ...blocks, ...change }), JSON.stringify(change)).toBe(false);
    }
  });

  it('tests elements only where a window reaches past the input', () => {
    expect(isPadded(blocks)).toBe(false);
    expect(isPadded({ ...blocks, padBottom: 1 })).toBe(false); // no window gets there
    for (const change of [{ padLeft: 1 }, { padTop: 1 }, { ih: 13 }, { kw: 3 }]) {
      expect(isPadded({ ...blocks, ...change }), JSON.stringify(change)).toBe(true);
    }
  });
});
