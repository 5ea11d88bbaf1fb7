import { numel } from '../../src/graph/tensor.ts';
import type { Batch } from '../../src/train/feed.ts';
import { randomFloats } from '../data.ts';
import { CLASSES, type TrainingProblem } from './networks.ts';

export const LEARNING_RATE = 0.01;
export const MOMENTUM = 0.9;
/** Steps whose losses have to agree before anything is measured. */
export const CHECKED_STEPS = 5;

/** The one batch that all contenders train on: random pixels and labels. */
export function makeBatch({ batch, sample }: TrainingProblem): Batch {
  const noise = randomFloats(batch * numel(sample), 11);
  return {
    count: batch,
    samples: Uint8Array.from(noise, (value) => Math.floor((value + 1) * 127.99)),
    labels: Uint32Array.from({ length: batch }, (_, i) => (i * 7) % CLASSES),
    moves: new Int32Array(4 * batch),
  };
}

/** The batch as the peers take it: pixels in 0..1, planar, and labels one-hot. */
export function asFloats({ samples, labels }: Batch): { x: Float32Array; oneHot: Float32Array } {
  const oneHot = new Float32Array(labels.length * CLASSES);
  labels.forEach((label, i) => {
    oneHot[i * CLASSES + label] = 1;
  });
  return { x: Float32Array.from(samples, (value) => value / 255), oneHot };
}
