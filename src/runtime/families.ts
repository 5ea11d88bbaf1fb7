import type { PackingChoice } from '../kernels/choosePacking.ts';
import type { LayerFamily } from '../kernels/layerFamily.ts';

/** The family of a form, fetched when a network first has it: a bundler makes a file of each. */
export async function loadFamily(form: PackingChoice['form']): Promise<LayerFamily | undefined> {
  switch (form) {
    case 'float':
      return undefined;
    case 'dense':
      return (await import('../kernels/denseLayer.ts')).denseLayer;
    case 'int8':
      return (await import('../kernels/int8Layer.ts')).int8Layer;
    default:
      return (await import('../kernels/sparseLayer.ts')).sparseLayer;
  }
}
