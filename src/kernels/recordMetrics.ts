import type { BufferSlice } from '../gpu/buffers.ts';
import { recordMetricsShader } from './generated/train.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { Args } from './shader.ts';

export { recordMetricsShader };

/** Floats of a slot: mean loss, samples right at first, samples right among the first five, samples. */
export const METRICS = 4;

export interface RecordMetricsOptions {
  /** [N] and [N], from the loss kernels. */
  losses: Operand<'f32'>;
  ranks: Operand<'u32'>;
  /** [slots, METRICS] */
  ring: Operand<'f32'>;
  /** `{ slot, count }`, or a buffer of them that is rewritten between replays (`DynamicArgs` of `recordMetricsShader`). */
  args: Args<typeof recordMetricsShader> | BufferSlice;
}

/** Puts a step's mean loss and its number of right answers into a slot of a ring, to be read many steps at once. */
export function recordMetrics(recorder: Recorder, { losses, ranks, ring, args }: RecordMetricsOptions): void {
  recorder.dispatch(recordMetricsShader, {
    operands: { losses, ranks, ring },
    args,
    workgroups: [1, 1, 1],
    label: 'metrics',
  });
}
