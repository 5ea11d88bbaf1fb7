import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { resample } from '../../../src/train/data/resample.ts';

interface Case {
  width: number;
  height: number;
  channels: number;
  to: [number, number];
  base64: string;
}
const { cases } = JSON.parse(readFileSync(new URL('pillow-bilinear.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

/** The generator that the fixture's `origin` describes; interleaved. */
function noise(length: number): Uint8Array {
  let state = 12345;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

function toPlanes(pixels: Uint8Array, channels: number): Uint8Array {
  const plane = pixels.length / channels;
  return Uint8Array.from(pixels, (_, i) => pixels[(i % plane) * channels + Math.floor(i / plane)]!);
}

test.each(cases)('$width x $height x $channels to $to: byte for byte as Pillow', (one) => {
  const { width, height, channels, to } = one;
  const planes = toPlanes(noise(width * height * channels), channels);
  const whole = { left: 0, top: 0, width: to[0], height: to[1] };
  const out = resample(planes, width, height, { width: to[0], height: to[1], crop: whole });
  expect(out).toEqual(toPlanes(new Uint8Array(Buffer.from(one.base64, 'base64')), channels));

  // A window is the same as cutting it out afterwards.
  const crop = { left: 1, top: 2, width: to[0] - 2, height: to[1] - 3 };
  const window = resample(planes, width, height, { width: to[0], height: to[1], crop });
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < crop.height; y++) {
      const start = (c * to[1] + y + crop.top) * to[0] + crop.left;
      const row = (c * crop.height + y) * crop.width;
      expect(window.subarray(row, row + crop.width)).toEqual(out.subarray(start, start + crop.width));
    }
  }
});
