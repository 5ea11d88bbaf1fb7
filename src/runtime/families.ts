import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { ChoiceAdapter, Chooser, PackingChoice } from '../kernels/chooseDense.ts';
import type { LayerFamily } from '../kernels/layerFamily.ts';
import { mayBeSparse } from './packWeights.ts';

/** The family of a form, fetched when a network first has it: a bundler makes a file of each. */
export async function loadFamily(
  { kind }: Pick<ChoiceAdapter, 'kind'>,
  form: PackingChoice['form'],
): Promise<LayerFamily | undefined> {
  switch (form) {
    case 'float':
      return undefined;
    case 'dense':
      return (await import('../kernels/denseLayer.ts')).denseLayer;
    case 'int8':
      return kind === 'cpu'
        ? (await import('../kernels/int8ProcessorLayer.ts')).int8ProcessorLayer
        : (await import('../kernels/int8Layer.ts')).int8Layer;
    default:
      return (await import('../kernels/sparseLayer.ts')).sparseLayer;
  }
}

/** What chooses the form of a tensor that may be sparse, fetched when a network first has such a one. */
export async function loadChooser(adapter: ChoiceAdapter, encoded: EncodedTensor): Promise<Chooser | undefined> {
  return mayBeSparse(adapter, encoded) ? (await import('../kernels/choosePacking.ts')).choosingPacking : undefined;
}
