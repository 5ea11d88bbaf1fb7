import { describe, expect, test } from 'vitest';
import { InputError } from '../../../src/graph/errors.ts';
import { fixedSize, imageGeometry } from '../../../src/train/data/geometry.ts';
import { normaliseOnHost } from '../../../src/train/data/normalise.ts';
import {
  checkChannels,
  labelOffsetFor,
  parsePreprocess,
  preprocessToJson,
} from '../../../src/train/data/preprocess.ts';

describe('parsePreprocess', () => {
  test('defaults', () => {
    expect(parsePreprocess({})).toEqual({ scale: 1 / 255, mean: [0], std: [1], channels: 'rgb' });
    expect(parsePreprocess({}, { kind: 'float32' }).scale).toBe(1);
  });

  test('every form of a field, and back through JSON', () => {
    const full = parsePreprocess({
      scale: 1,
      mean: [104, 117, 123],
      std: 1,
      channels: 'bgr',
      resize: '256x224',
      crop: 227,
      labelOffset: 1,
    });
    expect(full).toEqual({
      scale: 1,
      mean: [104, 117, 123],
      std: [1],
      channels: 'bgr',
      resize: { width: 256, height: 224 },
      crop: 227,
      labelOffset: 1,
    });
    expect(parsePreprocess(JSON.parse(JSON.stringify(preprocessToJson(full))))).toEqual(full);
    for (const resize of [146, '146', { shortSide: 146 }]) {
      expect(parsePreprocess({ resize }).resize).toEqual({ shortSide: 146 });
    }
  });

  test.each([
    [{ scale: 'x' }, /scale must be a number/],
    [{ scale: 0 }, /scale must not be 0/],
    [{ mean: [0, Number.POSITIVE_INFINITY] }, /mean\.1 must be a finite number/],
    [{ mean: [] }, /mean must have at least one number/],
    [{ mean: 'red' }, /mean must be a number or a list/],
    [{ std: [1, 0, 1] }, /std\.1 must not be 0/],
    [{ mean: [0, 0, 0], std: [1, 1] }, /mean has 3 numbers and std 2/],
    [{ channels: 'grb' }, /channels must be "rgb" or "bgr"/],
    [{ resize: 'big' }, /resize must be N \(shorter side\) or WxH/],
    [{ resize: 0 }, /resize.* must be at least 1 pixel/],
    [{ resize: '100000x3' }, /resize.* must be at most 8192 pixels/],
    [{ resize: { width: 3 } }, /resize/],
    [{ crop: 1.5 }, /crop must be a whole number/],
    [{ labelOffset: -1 }, /labelOffset must not be negative/],
    [{ sclae: 1 }, /sclae is not a field/],
    [[], /must be a JSON object/],
    [null, /must be a JSON object/],
  ])('refuses %j', (input, message) => {
    expect(() => parsePreprocess(input, { source: 'pre.json' })).toThrow(InputError);
    expect(() => parsePreprocess(input, { source: 'pre.json' })).toThrow(message);
    expect(() => parsePreprocess(input, { source: 'pre.json' })).toThrow(/^pre\.json: /);
  });

  test('a number per channel has to suit the data', () => {
    const three = parsePreprocess({ mean: [0, 0, 0] });
    expect(() => checkChannels(three, 3, 'd')).not.toThrow();
    expect(() => checkChannels(three, 1, 'd')).toThrow('d: mean has 3 numbers, but a sample has 1 channel(s).');
    expect(() => checkChannels(parsePreprocess({ channels: 'bgr' }), 1, 'd')).toThrow(/channels is "bgr"/);
  });

  test('label offset', () => {
    expect(labelOffsetFor({}, 1001)).toBe(1);
    expect(labelOffsetFor({}, 1000)).toBe(0);
    expect(labelOffsetFor({ labelOffset: 0 }, 1001)).toBe(0);
    expect(labelOffsetFor({ labelOffset: 2 }, 12)).toBe(2);
  });
});

describe('normaliseOnHost', () => {
  // Two colour samples of 1 x 2 pixels: planes R, G, B.
  const samples = Uint8Array.from([0, 255, 10, 20, 104, 117, 1, 2, 3, 4, 5, 6]);
  const shape = [3, 1, 2];

  test('scale, mean and deviation per channel', () => {
    const preprocess = parsePreprocess({ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
    const out = normaliseOnHost(samples, shape, preprocess);
    expect(out).toHaveLength(12);
    expect(out[0]).toBeCloseTo(-2.1179, 4); // (0 - 0.485) / 0.229
    expect(out[1]).toBeCloseTo(2.2489, 4); // (1 - 0.485) / 0.229
    expect(out[3]).toBeCloseTo(-1.6856, 4); // (20 / 255 - 0.456) / 0.224
    expect(out[5]).toBeCloseTo(0.2348, 4); // (117 / 255 - 0.406) / 0.225
    expect(out[11]).toBeCloseTo(-1.6999, 4); // (6 / 255 - 0.406) / 0.225
  });

  test('bgr reorders first: the mean is in the order that the model sees', () => {
    const out = normaliseOnHost(samples, shape, parsePreprocess({ scale: 1, mean: [104, 117, 123], channels: 'bgr' }));
    expect([...out.subarray(0, 6)]).toEqual([0, 13, -107, -97, -123, 132]);
  });

  test('interleaved', () => {
    const out = normaliseOnHost(samples, shape, parsePreprocess({ scale: 1 }), 'nhwc');
    expect([...out]).toEqual([0, 10, 104, 255, 20, 117, 1, 3, 5, 2, 4, 6]);
  });

  test('arrays that are no images have one channel', () => {
    const out = normaliseOnHost(
      Float32Array.of(1, 2, 3, 4),
      [2],
      parsePreprocess({ mean: 1, std: 2 }, { kind: 'float32' }),
    );
    expect([...out]).toEqual([0, 0.5, 1, 1.5]);
  });
});

describe('imageGeometry', () => {
  test('shorter side, exact size, centre crop', () => {
    expect(imageGeometry('f', 500, 375, { resize: { shortSide: 146 }, crop: 128 })).toEqual({
      width: 195, // 194.67
      height: 146,
      crop: { left: 33, top: 9, width: 128, height: 128 },
    });
    expect(imageGeometry('f', 375, 500, { resize: { shortSide: 146 } })).toMatchObject({ width: 146, height: 195 });
    expect(imageGeometry('f', 500, 375, { resize: { width: 256, height: 256 }, crop: 227 })).toEqual({
      width: 256,
      height: 256,
      crop: { left: 14, top: 14, width: 227, height: 227 },
    });
    expect(imageGeometry('f', 5, 4, {})).toEqual({
      width: 5,
      height: 4,
      crop: { left: 0, top: 0, width: 5, height: 4 },
    });
  });

  test('refuses what cannot be', () => {
    expect(() => imageGeometry('f.png', 28, 28, { crop: 29 })).toThrow(
      'f.png: crop 29 is larger than the image, 28 x 28.',
    );
    expect(() => imageGeometry('f', 1, 60_000, { resize: { shortSide: 8000 } })).toThrow(InputError);
    expect(() => imageGeometry('f', 1, 2 ** 26, { resize: { width: 8192, height: 1 } })).toThrow(InputError);
  });

  test('fixedSize', () => {
    expect(fixedSize({ resize: { shortSide: 5 } })).toBeUndefined();
    expect(fixedSize({ resize: { shortSide: 5 }, crop: 4 })).toEqual({ width: 4, height: 4 });
    expect(fixedSize({ resize: { width: 5, height: 6 } })).toEqual({ width: 5, height: 6 });
  });
});
