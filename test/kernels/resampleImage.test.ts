/** The GPU's resize against the host's, which is Pillow's to the byte (test/train/data/resample.test.ts). */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { centreCrop, type Geometry, resizedSize } from '../../src/kernels/imageGeometry.ts';
import { foldNormalisation } from '../../src/kernels/prepareBatch.ts';
import { planResample, resampleImage } from '../../src/kernels/resampleImage.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { resample } from '../../src/train/data/resample.ts';
import { testGpu } from '../support/gpu.ts';

const noise = (length: number) => {
  let state = 99;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
};

interface Case {
  size: [number, number];
  geometry: Geometry;
  channels: 1 | 3;
  layout?: 'nchw' | 'nhwc';
  bgr?: boolean;
  pitch?: number;
}

async function onGpu(rgba: Uint8Array, one: Case, affine: Float32Array): Promise<Float32Array> {
  const recorder = new DirectRecorder(await testGpu());
  const [width, height] = one.size;
  const { pitch = width, channels, geometry } = one;
  const words = new Uint32Array(pitch * height);
  const source = new Uint32Array(rgba.buffer, 0, width * height);
  for (let y = 0; y < height; y++) words.set(source.subarray(y * width, (y + 1) * width), y * pitch);
  const plan = planResample(width, height, geometry);
  const out = recorder.temporary('f32', channels * geometry.crop.width * geometry.crop.height);
  resampleImage(recorder, {
    pixels: recorder.upload('u32', words),
    pitch,
    plan,
    columns: recorder.upload('i32', plan.columns),
    lines: recorder.upload('i32', plan.lines),
    affine: recorder.upload('f32', affine),
    out,
    channels,
    layout: one.layout ?? 'nchw',
    reverseChannels: one.bgr ?? false,
  });
  await recorder.run();
  const result = await recorder.read(out);
  recorder.dispose();
  return result;
}

const to = (width: number, height: number): Geometry => centreCrop({ width, height }, { width, height });
const short = (w: number, h: number, side: number, crop: number): Geometry =>
  centreCrop(resizedSize(w, h, { shortSide: side }), { width: crop, height: crop });

describe('resampleImage', () => {
  it.each<Case>([
    { size: [40, 30], geometry: to(11, 7), channels: 3 },
    { size: [9, 13], geometry: to(32, 32), channels: 3, layout: 'nhwc' },
    { size: [301, 200], geometry: short(301, 200, 36, 32), channels: 3, bgr: true, pitch: 320 },
    { size: [8, 8], geometry: to(8, 8), channels: 3 },
    { size: [1, 1], geometry: to(5, 3), channels: 3, layout: 'nhwc', bgr: true },
    { size: [33, 70], geometry: centreCrop({ width: 33, height: 70 }, { width: 17, height: 20 }), channels: 3 },
  ])('$size to $geometry.width x $geometry.height', async (one) => {
    const [width, height] = one.size;
    const rgba = noise(width * height * 4);
    const planes = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const plane = width * height;
      return rgba[(i % plane) * 4 + Math.floor(i / plane)]!;
    });
    const { crop } = one.geometry;
    const preprocess = {
      scale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      channels: one.bgr ? ('bgr' as const) : ('rgb' as const),
    };
    const bytes = resample(planes, width, height, one.geometry);
    const expected = normaliseOnHost(bytes, [3, crop.height, crop.width], preprocess, one.layout ?? 'nchw');
    const actual = await onGpu(rgba, one, foldNormalisation(3, preprocess));
    expect(actual).toHaveLength(expected.length);
    // A byte that is off by one would be off by 0.017.
    for (const [i, value] of actual.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
  });

  it('turns colours into grey as the decoder of the command line does, to a level', async () => {
    const [width, height] = [16, 12];
    const rgba = noise(width * height * 4);
    const { data } = await sharp(rgba, { raw: { width, height, channels: 4 } })
      .removeAlpha()
      .toColourspace('b-w')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const raw = { scale: 1, mean: [0], std: [1] };
    const grey = await onGpu(rgba, { size: [16, 12], geometry: to(16, 12), channels: 1 }, foldNormalisation(1, raw));
    expect(data).toHaveLength(grey.length);
    for (const [i, value] of grey.entries()) expect(Math.abs(value - data[i]!)).toBeLessThanOrEqual(1);
  });

  it('leaves grey as it is', async () => {
    const rgba = Uint8Array.from({ length: 256 * 4 }, (_, i) => Math.floor(i / 4));
    const raw = { scale: 1, mean: [0], std: [1] };
    const grey = await onGpu(rgba, { size: [16, 16], geometry: to(16, 16), channels: 1 }, foldNormalisation(1, raw));
    expect([...grey]).toEqual(Array.from({ length: 256 }, (_, i) => i));
  });
});
