import { sampleLength } from './dataset.ts';
import type { Preprocess } from './preprocess.ts';
import { ofChannel } from './preprocess.ts';

/**
 * The reference for what the GPU does to a batch: colours reordered, then (p * scale - mean) / std per channel.
 * @param samples planar samples (R, G, B), one after the other
 * @param sampleShape [C, H, W]; a shape of another rank counts as one channel
 * @param layout `nhwc` interleaves the channels of the result
 * @returns samples.length numbers
 */
export function normaliseOnHost(
  samples: Uint8Array | Float32Array,
  sampleShape: readonly number[],
  preprocess: Preprocess,
  layout: 'nchw' | 'nhwc' = 'nchw',
): Float32Array {
  const length = sampleLength(sampleShape);
  const channels = sampleShape.length === 3 ? sampleShape[0]! : 1;
  const plane = length / channels;
  const out = new Float32Array(samples.length);
  for (let start = 0; start < samples.length; start += length) {
    for (let c = 0; c < channels; c++) {
      const source = start + (preprocess.channels === 'bgr' ? channels - 1 - c : c) * plane;
      const mean = ofChannel(preprocess.mean, c);
      const std = ofChannel(preprocess.std, c);
      const target = layout === 'nchw' ? start + c * plane : start + c;
      const step = layout === 'nchw' ? 1 : channels;
      for (let i = 0; i < plane; i++) {
        out[target + i * step] = (samples[source + i]! * preprocess.scale - mean) / std;
      }
    }
  }
  return out;
}
