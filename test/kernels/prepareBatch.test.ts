import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { foldNormalisation, prepareBatch } from '../../src/kernels/prepareBatch.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { testGpu } from '../support/gpu.ts';
import { random } from '../support/numbers.ts';

interface Case {
  samples: number;
  channels: number;
  height: number;
  width: number;
  sourceHeight?: number;
  sourceWidth?: number;
  layout: 'nchw' | 'nhwc';
  reverseChannels: boolean;
  scale: number;
  mean: number[];
  std: number[];
}

/** The definition in float64, a loop per axis: pad the raw image with zeros, cut the window out, mirror, normalise. */
function reference(pixels: ArrayLike<number>, augment: Int32Array | undefined, of: Case): Float64Array {
  const { samples, channels, height, width, sourceHeight = height, sourceWidth = width } = of;
  const out = new Float64Array(samples * channels * height * width);
  for (let n = 0; n < samples; n++) {
    const [dx, dy, flip] = augment ? augment.subarray(4 * n) : [0, 0, 0];
    for (let c = 0; c < channels; c++) {
      const plane = of.reverseChannels ? channels - 1 - c : c;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const sy = y + dy;
          const sx = (flip ? width - 1 - x : x) + dx;
          const inside = sy >= 0 && sy < sourceHeight && sx >= 0 && sx < sourceWidth;
          const raw = inside ? pixels[((n * channels + plane) * sourceHeight + sy) * sourceWidth + sx] : 0;
          const mean = of.mean.length === 1 ? of.mean[0] : of.mean[c];
          const std = of.std.length === 1 ? of.std[0] : of.std[c];
          const at =
            of.layout === 'nchw'
              ? ((n * channels + c) * height + y) * width + x
              : ((n * height + y) * width + x) * channels + c;
          out[at] = (raw * of.scale - mean) / std;
        }
      }
    }
  }
  return out;
}

/** Largest relative error of any single element. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs(actual[i] - expected[i]) / Math.max(Math.abs(expected[i]), 1e-6));
  }
  return error;
}

const cifar = { scale: 1 / 255, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };
const cases: Record<string, Case> = {
  'CIFAR images': { samples: 3, channels: 3, height: 32, width: 32, layout: 'nchw', reverseChannels: false, ...cifar },
  'odd sizes, BGR, interleaved': {
    samples: 5,
    channels: 3,
    height: 7,
    width: 5,
    layout: 'nhwc',
    reverseChannels: true,
    scale: 1,
    mean: [103.939, 116.779, 123.68],
    std: [1],
  },
  'a window of a larger source': {
    samples: 2,
    channels: 3,
    height: 6,
    width: 9,
    sourceHeight: 11,
    sourceWidth: 13,
    layout: 'nchw',
    reverseChannels: false,
    ...cifar,
  },
  'one channel': {
    samples: 4,
    channels: 1,
    height: 28,
    width: 28,
    layout: 'nchw',
    reverseChannels: false,
    scale: 1 / 255,
    mean: [0.1307],
    std: [0.3081],
  },
};

function pixelsOf(of: Case, seed: number): Uint8Array<ArrayBuffer> {
  const { samples, channels, height, width, sourceHeight = height, sourceWidth = width } = of;
  const next = random(seed);
  return Uint8Array.from({ length: samples * channels * sourceHeight * sourceWidth }, () => next(0, 256));
}

/** Four bytes to a word, as an upload of the byte array does. */
function words(bytes: Uint8Array): Uint32Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}

describe.each(Object.entries(cases))('%s', (_, of) => {
  const { samples, channels } = of;
  const next = random(9);
  const shift = (low: number, high: number) => Math.floor(next(low, high + 1));
  const augment = Int32Array.from(
    { length: 4 * samples },
    (_, i) => [shift(-4, 4), shift(-4, 4), i & 4 ? 1 : 0, 0][i % 4],
  );

  it.each(['bytes', 'floats'])('normalises %s with crop and flip', async (kind) => {
    const recorder = new DirectRecorder(await testGpu());
    const bytes = pixelsOf(of, 1);
    const source = kind === 'bytes' ? bytes : Float32Array.from(bytes, (p) => p * 1.37 - 20);
    const pixels =
      kind === 'bytes' ? recorder.upload('u32', words(bytes)) : recorder.upload('f32', source as Float32Array);
    const affine = recorder.upload('f32', foldNormalisation(channels, of));
    const expected = reference(source, augment, of);
    const out = recorder.temporary('f32', expected.length);
    prepareBatch(recorder, { ...of, pixels, affine, out, augment: recorder.upload('i32', augment) });
    await recorder.run();
    expect(worst(await recorder.read(out), expected)).toBeLessThan(1e-6);
    recorder.dispose();
  });

  it('does what normaliseOnHost does where nothing is augmented', async () => {
    if (of.sourceHeight) return;
    const recorder = new DirectRecorder(await testGpu());
    const bytes = pixelsOf(of, 2);
    const out = recorder.temporary('f32', bytes.length);
    prepareBatch(recorder, {
      ...of,
      pixels: recorder.upload('u32', words(bytes)),
      affine: recorder.upload('f32', foldNormalisation(channels, of)),
      out,
    });
    await recorder.run();
    const { scale, mean, std, layout } = of;
    const preprocess = { scale, mean, std, channels: of.reverseChannels ? ('bgr' as const) : ('rgb' as const) };
    const expected = normaliseOnHost(bytes, [channels, of.height, of.width], preprocess, layout);
    expect(worst(await recorder.read(out), expected)).toBeLessThan(1e-6);
    recorder.dispose();
  });
});

it('is accurate for floats that are close to a large mean', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const data = Float32Array.from({ length: 64 }, (_, i) => 1e4 / 3 + i / 1024);
  const out = recorder.temporary('f32', 64);
  const normalisation = { scale: 3, mean: [1e4], std: [0.7] };
  prepareBatch(recorder, {
    pixels: recorder.upload('f32', data),
    affine: recorder.upload('f32', foldNormalisation(1, normalisation)),
    out,
    samples: 1,
    channels: 1,
    height: 1,
    width: 64,
    layout: 'flat',
  });
  await recorder.run();
  const expected = Float64Array.from(data, (p) => (p * 3 - 1e4) / 0.7);
  expect(worst(await recorder.read(out), expected)).toBeLessThan(1e-6);
  recorder.dispose();
});

it('refuses operands that are too small', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const affine = recorder.upload('f32', foldNormalisation(1, { scale: 1, mean: [0], std: [1] }));
  const shape = { samples: 2, channels: 1, height: 4, width: 4, affine };
  const pixels = recorder.temporary('u32', 8);
  expect(() => prepareBatch(recorder, { ...shape, pixels, out: recorder.temporary('f32', 31) })).toThrow('31 elements');
  const short = recorder.temporary('u32', 7);
  expect(() => prepareBatch(recorder, { ...shape, pixels: short, out: recorder.temporary('f32', 32) })).toThrow(
    '7 scalars',
  );
  recorder.dispose();
});
