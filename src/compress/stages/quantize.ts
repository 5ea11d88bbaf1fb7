import * as v from 'valibot';
import { calibrateActivations } from '../calibrateActivations.ts';
import { quantizeGraph } from '../quantizeGraph.ts';
import { bits, commonFields, count, layerPatterns, training } from '../recipeFields.ts';
import { type CompressionState, withInitializers } from '../state.ts';
import type { StageContext } from './stage.ts';
import { trainStage } from './training.ts';

/** Quantization of weights and activations to few bits, with the steps between levels learnt in training (LSQ). */
export const quantizeSchema = v.strictObject({
  ...commonFields,
  kind: v.literal('quantize'),
  weights: v.optional(
    v.strictObject({
      bits: v.optional(bits, 8),
      perChannel: v.optional(v.boolean(), true),
      initial: v.optional(v.picklist(['lsq', 'mse']), 'mse'),
    }),
    {},
  ),
  /** Leave out to keep activations in float. */
  activations: v.optional(
    v.strictObject({
      bits: v.optional(bits, 8),
      samples: v.optional(count, 512),
      /** Powers of two by default from 8 bits on: products and their sums are exact, and any runtime's are the same. */
      steps: v.optional(v.picklist(['power-of-two', 'any'])),
    }),
  ),
  /** Other widths for single layers: { "conv1": 8, "fc*": 6 }. */
  layers: v.optional(v.record(v.string(), bits), {}),
  skip: layerPatterns,
  training: v.optional(training),
});

export type QuantizeStage = v.InferOutput<typeof quantizeSchema>;

export async function runQuantize(stage: QuantizeStage, context: StageContext): Promise<CompressionState> {
  const { gpu, state, dataset, preprocess } = context;
  const { graph, activations } = quantizeGraph(state.graph, {
    weights: stage.weights,
    layers: stage.layers,
    skip: stage.skip,
    ...(stage.activations && { activations: activationSettings(stage.activations) }),
  });
  let quantized: CompressionState = { graph, masks: state.masks };
  // A checkpoint holds the scales.
  if (!context.resume && stage.activations && activations.length > 0) {
    const scales = await calibrateActivations(gpu, {
      graph: state.graph,
      activations,
      dataset,
      preprocess,
      samples: stage.activations.samples,
      seed: context.seed,
      onProgress: context.onCalibrate,
      signal: context.signal,
    });
    quantized = { graph: withInitializers(graph, scales), masks: state.masks };
  }
  return stage.training ? trainStage(context, { ...quantized, training: stage.training }) : quantized;
}

/** Half the resolution, which a power of two may cost, is much where there are few levels. */
function activationSettings({ bits, steps }: NonNullable<QuantizeStage['activations']>) {
  return { bits, powerOfTwo: (steps ?? (bits >= 8 ? 'power-of-two' : 'any')) === 'power-of-two' };
}
