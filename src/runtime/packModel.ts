import type { OwnedParameters } from '../engine/inference.ts';
import { packableWeights } from '../engine/packing.ts';
import { initializerRoles } from '../engine/parameters.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Graph } from '../graph/types.ts';
import type { ChoiceAdapter } from '../kernels/choosePacking.ts';
import { layerFamily } from '../kernels/packedLayer.ts';
import { type PackedTensor, packBy, planPacking } from './packWeights.ts';
import { Weights } from './weights.ts';

/** A compressed file as `decodeModel` gives it. */
interface DecodedFile {
  graph: Graph;
  encodings: ReadonlyMap<string, EncodedTensor>;
}

/** The weights of layers in the form in which their kernels take them on this adapter, by name. */
export function packTensors(adapter: ChoiceAdapter, { graph, encodings }: DecodedFile): Map<string, PackedTensor> {
  const packed = new Map<string, PackedTensor>();
  for (const [name, use] of packableWeights(graph)) {
    const encoded = encodings.get(name);
    const tensor = graph.initializers.get(name);
    if (!encoded || !tensor) continue;
    const plan = planPacking(adapter, encoded, tensor, use);
    const { form } = plan.choice;
    packed.set(name, packBy(form === 'float' ? undefined : layerFamily(form), plan));
  }
  return packed;
}

/**
 * What a plan of a compressed file takes as its parameters: each time a copy of the file's weights on the GPU, packed,
 * which the plan owns.
 * @param file as it was decoded; the plan's graph must have been made from `file.graph`
 */
export function packedParameters(gpu: Gpu, file: DecodedFile): (graph: Graph) => OwnedParameters {
  // Once for all plans: packing takes longer than uploading.
  const packed = packTensors(gpu.capabilities, file);
  const roles = initializerRoles(file.graph);
  return (graph) => {
    const weights = new Weights(gpu, file.graph.name);
    try {
      for (const [name, tensor] of file.graph.initializers) {
        if (tensor.dtype === 'float32' && roles.has(name) && graph.initializers.get(name)?.data === tensor.data) {
          weights.add(name, tensor, packed.get(name));
        }
      }
      const { source, own } = weights.sourceFor(graph, file.graph);
      const dispose = () => {
        own.dispose();
        weights.dispose();
      };
      return { ...source, dispose };
    } catch (error) {
      weights.dispose();
      throw error;
    }
  };
}
