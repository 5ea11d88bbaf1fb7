/** The parts that the stages of a recipe share: data, optimizer, schedule, training. */
import * as v from 'valibot';

export const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
export const positive = v.pipe(v.number(), v.gtValue(0), v.finite());
export const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1e9));
export const nonNegative = v.pipe(v.number(), v.minValue(0), v.finite());
export const bits = v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(8));

export const optimizer = v.variant('kind', [
  v.strictObject({
    kind: v.literal('sgd'),
    learningRate: positive,
    momentum: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0.9),
    nesterov: v.optional(v.boolean(), true),
    weightDecay: v.optional(nonNegative, 0),
    scaleRate: v.optional(positive, 1),
    /** Gradients longer than this are scaled down to it. */
    clipNorm: v.optional(positive),
  }),
  v.strictObject({
    kind: v.picklist(['adam', 'adamw']),
    learningRate: positive,
    beta1: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0.9),
    beta2: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0.999),
    epsilon: v.optional(positive, 1e-8),
    weightDecay: v.optional(nonNegative, 0),
    scaleRate: v.optional(positive, 1),
    /** Gradients longer than this are scaled down to it. */
    clipNorm: v.optional(positive),
  }),
]);

export const schedule = v.variant('kind', [
  v.strictObject({ kind: v.literal('constant'), warmupEpochs: v.optional(nonNegative, 0) }),
  v.strictObject({
    kind: v.literal('step'),
    milestones: v.array(fraction),
    gamma: v.optional(positive, 0.1),
    warmupEpochs: v.optional(nonNegative, 0),
  }),
  v.strictObject({
    kind: v.literal('cosine'),
    final: v.optional(fraction, 0),
    warmupEpochs: v.optional(nonNegative, 0),
  }),
]);

export const data = v.strictObject({
  /** Another data set than the command's --data. */
  path: v.optional(v.pipe(v.string(), v.nonEmpty())),
  split: v.optional(v.picklist(['train', 'test']), 'train'),
  /** The first so many samples of a seeded shuffle; all by default. */
  limit: v.optional(count),
});

export const augment = v.strictObject({
  crop: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(64)), 0),
  flip: v.optional(v.boolean(), false),
});

export const distill = v.strictObject({
  /** Softens both distributions; 1 leaves them as they are. */
  temperature: v.optional(positive, 4),
  /** Weight of the teacher's part of the loss; the labels take the rest. */
  alpha: v.optional(fraction, 0.9),
});

export const training = v.strictObject({
  epochs: v.pipe(positive, v.maxValue(1e6)),
  batch: v.optional(v.pipe(count, v.maxValue(65536)), 64),
  optimizer: v.optional(optimizer, { kind: 'sgd', learningRate: 0.01 }),
  schedule: v.optional(schedule, { kind: 'cosine' }),
  labelSmoothing: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0),
  /** Statistics of BatchNormalization: of each batch, kept up, or the running ones, left as they are. */
  batchNorm: v.optional(v.picklist(['train', 'frozen']), 'train'),
  augment: v.optional(augment, {}),
  distill: v.optional(distill),
});

/** Part of the names of a stage's files. */
const stageName = v.pipe(v.string(), v.nonEmpty(), v.maxLength(100));
export const commonFields = { name: v.optional(stageName), data: v.optional(data, {}) };
export const layerPatterns = v.optional(v.array(v.pipe(v.string(), v.nonEmpty())), []);

export type Training = v.InferOutput<typeof training>;
export type OptimizerConfig = Training['optimizer'];
export type ScheduleConfig = Training['schedule'];
export type StageData = v.InferOutput<typeof data>;
