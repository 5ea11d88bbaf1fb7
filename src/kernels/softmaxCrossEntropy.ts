import type { BufferSlice } from '../gpu/buffers.ts';
import { softmaxCrossEntropyShader } from './generated/train.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { rowLanes } from './lanes.ts';
import type { Args } from './shader.ts';

export { softmaxCrossEntropyShader };

/** In `ranks`, for a row of padding. */
export const NO_RANK = 0xffffffff;

export interface LossSettings {
  rows: number;
  classes: number;
  /** Rows that are samples; those after it are padding, with no loss, no gradient and `NO_RANK`. All by default. */
  count?: number;
  /** ε of label smoothing: the target is (1 − ε)·one-hot + ε/C. Default 0. */
  smoothing?: number;
  /** Factor of the gradient, not of the losses. Default 1. */
  weight?: number;
  /** Share of the teacher in a distillation loss. */
  alpha?: number;
  temperature?: number;
}

/** The arguments of the loss kernels, for a `DynamicArgs` of `softmaxCrossEntropyShader`. */
export function lossArgs(settings: LossSettings): Args<typeof softmaxCrossEntropyShader> {
  const { rows, classes, count = rows, smoothing = 0, weight = 1, alpha = 0, temperature = 1 } = settings;
  if (!(temperature > 0)) throw new Error(`The temperature must be positive, not ${temperature}`);
  return { rows, classes, count, smoothing, weight, alpha, temperature };
}

interface LossOperands {
  /** [N, C] */
  logits: Operand<'f32'>;
  /** [N], each below C. */
  labels: Operand<'u32'>;
  /** [N]: each sample's loss. */
  losses: Operand<'f32'>;
  /** [N]: how many logits come before the label's (greater, or equal at a lower index; NaN counts as greater). */
  ranks: Operand<'u32'>;
  /** [N, C]: gradient of weight · (mean loss). Not computed where absent. */
  dlogits?: Operand<'f32'>;
  /** Arguments that change between replays (`lossArgs`), instead of the settings. */
  args?: BufferSlice;
}

export type SoftmaxCrossEntropyOptions = LossOperands &
  Omit<LossSettings, 'rows' | 'classes' | 'alpha' | 'temperature'>;

/** Softmax cross-entropy with label smoothing, as torch.nn.CrossEntropyLoss; the gradient is that of the batch's mean. */
export function softmaxCrossEntropy(recorder: Recorder, options: SoftmaxCrossEntropyOptions): void {
  record(recorder, options, undefined, 'cross-entropy');
}

export type DistillationOptions = LossOperands & { teacher: Operand<'f32'> } & Omit<LossSettings, 'rows' | 'classes'>;

/**
 * (1 − α)·CE(student, labels) + α·T²·KL(softmax(teacher/T) ‖ softmax(student/T)), the mean over the batch (Hinton et
 * al. 2015); the teacher gets no gradient.
 */
export function distillation(recorder: Recorder, options: DistillationOptions): void {
  record(recorder, options, options.teacher, 'distillation');
}

function record(
  recorder: Recorder,
  options: LossOperands & Omit<LossSettings, 'rows' | 'classes'>,
  teacher: Operand<'f32'> | undefined,
  label: string,
): void {
  const { logits, labels, losses, ranks, dlogits, args } = options;
  const rows = labels.elements;
  const classes = logits.elements / rows;
  if (!Number.isInteger(classes)) throw new Error(`${label}: ${logits.elements} logits for ${rows} labels`);
  const { LANES, ROWS, WG } = rowLanes(classes);
  recorder.dispatch(softmaxCrossEntropyShader, {
    operands: {
      logits,
      teacher: teacher ?? logits,
      labels,
      losses,
      ranks,
      dlogits: dlogits ?? recorder.temporary('f32', 4, 'no gradient'),
    },
    args: args ?? lossArgs({ ...options, rows, classes }),
    tunables: { LANES, ROWS, WG, TEACHER: teacher !== undefined, GRADIENT: dlogits !== undefined },
    workgroups: grid(rows, ROWS),
    label,
  });
}
