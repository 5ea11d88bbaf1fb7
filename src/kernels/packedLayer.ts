/** All forms of packed weights together: for Node, benchmarks and tests. A page loads them one by one. */
import type { PackingChoice } from './chooseDense.ts';
import { denseLayer } from './denseLayer.ts';
import { int8ProcessorLayer } from './int8ProcessorLayer.ts';
import type { Recorder } from './kernel.ts';
import type { ConvCall, LayerCall, LayerFamily, PackedLayer } from './layerFamily.ts';
import { sparseLayer } from './sparseLayer.ts';

export type { ActivationInput, PackedLayer, PackedWeights } from './layerFamily.ts';

export function layerFamily(form: PackedLayer['form'] | Exclude<PackingChoice['form'], 'float'>): LayerFamily {
  if (form === 'dense') return denseLayer;
  return form === 'int8' ? int8ProcessorLayer : sparseLayer;
}

/** out [m, rows] = clamp(x [m, k] · Wᵀ + bias + residual) by the kernel of the weights' form. */
export function packedProduct(recorder: Recorder, call: LayerCall & { m: number }): void {
  layerFamily(call.weights.form).product(recorder, call);
}

/** out = clamp(x * W + bias + residual), a convolution by the kernel of the weights' form. */
export function packedConv(recorder: Recorder, call: ConvCall): void {
  layerFamily(call.weights.form).conv(recorder, call);
}
