import { describe, expect, it } from 'vitest';
import { LimitError } from '../../src/gpu/errors.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { type BufferOperand, DirectRecorder } from '../../src/kernels/direct.ts';
import { fakeQuantize } from '../../src/kernels/fakeQuantize.ts';
import { canQuantizeInt8, quantizePlanes, quantizeRows, storedCodes } from '../../src/kernels/int8Planes.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

const levels = [
  { low: -128, high: 127 },
  { low: -127, high: 127 },
  { low: 0, high: 255 },
  { low: -8, high: 7 },
];

function shapeOf(n: number, ic: number, ih: number, iw: number, pad: number): ConvShape {
  const lengths = { n, ic, ih, iw, oc: 1, oh: ih, ow: iw, kh: 1, kw: 1, groups: 1 };
  const steps = { strideH: 1, strideW: 1, dilH: 1, dilW: 1 };
  return { ...lengths, ...steps, padTop: pad, padLeft: pad, padBottom: pad, padRight: pad };
}

describe.each(KINDS)('quantized activations as a %s makes them', (kind) => {
  it.each(levels)('has the codes of fake quantization: %j', async ({ low, high }) => {
    const direct = new DirectRecorder(await testGpu());
    const recorder = recorderOfKind(direct, kind);
    const { shift } = storedCodes({ scale: 1, low, high });
    // Uneven steps, so that whether a division or a reciprocal is taken shows; and everything that is no number.
    for (const scale of [0.0173, 1 / 3, 0, 1e-20]) {
      const data = randomFloats(3, 2 * 5 * 6 * 8, 1.1 * low * scale, 1.1 * high * scale);
      data.set([
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        -0,
        scale / 2,
        1.5 * scale,
        -scale / 2,
      ]);
      const [x, out] = [direct.upload('f32', data), direct.temporary('f32', data.length)];
      fakeQuantize(recorder, { x, scale: direct.upload('f32', Float32Array.of(scale)), out, low, high });
      const planes = quantizePlanes(recorder, { x, shape: shapeOf(2, 5, 6, 8, 0), scale, low, high });
      const narrow = quantizePlanes(recorder, { x, shape: shapeOf(1, 2, 6, 5, 1), scale, low, high });
      const whole = quantizeRows(recorder, { x, m: 10, k: 48, scale, low, high });
      const rows = quantizeRows(recorder, { x, m: 11, k: 43, scale, low, high });
      await direct.run();
      const step = Math.max(Math.fround(scale), Math.fround(1e-12));
      const expected = Array.from(await direct.read(out), (value) => Math.round(value / step) + 0);
      const bytes = async ({ operand }: { operand: unknown }) =>
        Array.from(new Int8Array((await direct.readU32(operand as BufferOperand<'u32'>)).buffer), (b) => b + shift);
      const [inPlanes, inNarrow, inWhole, inRows] = [
        await bytes(planes),
        await bytes(narrow),
        await bytes(whole),
        await bytes(rows),
      ];
      const from = (words: number[], channels: number, h: number, w: number, pad: number) => (i: number) => {
        const [image, channel, y, column] = [
          Math.floor(i / (channels * h * w)),
          Math.floor(i / (h * w)) % channels,
          Math.floor(i / w) % h,
          i % w,
        ];
        const [outH, outW] = [h + 2 * pad, w + 2 * pad];
        const plane = image * Math.ceil(channels / 4) + (channel >> 2);
        return words[4 * ((plane * outH + y + pad) * outW + column + pad) + (channel & 3)];
      };
      expect(data.map((_, i) => from(inPlanes, 5, 6, 8, 0)(i)!)).toEqual(Float32Array.from(expected));
      const first = expected.slice(0, 60);
      expect(first.map((_, i) => from(inNarrow, 2, 6, 5, 1)(i))).toEqual(first);
      expect(inWhole).toEqual(expected);
      const inRow = expected.slice(0, 11 * 43);
      expect(inRow.map((_, i) => inRows[Math.floor(i / 43) * 48 + (i % 43)])).toEqual(inRow);
      // What fills up a word is zero.
      expect(inRows.filter((_, i) => i % 48 >= 43).every((code) => code === 0)).toBe(true);
    }
    direct.dispose();
  });
});

it('stores codes of eight bits without sign less 128', () => {
  expect(storedCodes({ scale: 1, low: 0, high: 255 }).shift).toBe(128);
  expect(storedCodes({ scale: 1, low: 0, high: 127 }).shift).toBe(0);
  expect(canQuantizeInt8({ low: -128, high: 127 })).toBe(true);
  expect(canQuantizeInt8({ low: 0, high: 256 })).toBe(false);
  expect(canQuantizeInt8({ low: -1, high: 128 })).toBe(false);
  expect(canQuantizeInt8({ low: 1, high: 3 })).toBe(false);
  expect(() => storedCodes({ scale: 1, low: 0, high: 4095 })).toThrow(LimitError);
});
