import type { OwnedParameters } from '../engine/inference.ts';
import { packableWeights } from '../engine/packing.ts';
import { initializerRoles } from '../engine/parameters.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Graph } from '../graph/types.ts';
import type { ChoiceAdapter } from '../kernels/chooseDense.ts';
import { choosingPacking } from '../kernels/choosePacking.ts';
import { layerFamily } from '../kernels/packedLayer.ts';
import { finish } from '../kernels/steps.ts';
import { mayBeSparse, type PackedTensor, packingBy, planningPacking, type WeightMemory } from './packWeights.ts';
import { SmallWeights } from './smallWeights.ts';
import { Weights } from './weights.ts';

/** A compressed file as `decodeModel` gives it. */
interface DecodedFile {
  graph: Graph;
  encodings: ReadonlyMap<string, EncodedTensor>;
}

/**
 * The weights of layers in the form in which their kernels take them on this adapter, by name.
 * @param memory what they may take on the GPU
 */
export function packTensors(
  adapter: ChoiceAdapter,
  file: DecodedFile,
  memory: WeightMemory = 'small',
): Map<string, PackedTensor> {
  return packFile(adapter, file, memory).packed;
}

function packFile(adapter: ChoiceAdapter, { graph, encodings }: DecodedFile, memory: WeightMemory) {
  const payload = [...encodings.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const small = memory === 'small' ? new SmallWeights(graph, payload) : undefined;
  const packed = new Map<string, PackedTensor>();
  for (const [name, use] of packableWeights(graph)) {
    const encoded = encodings.get(name);
    const tensor = graph.initializers.get(name);
    if (!encoded || !tensor) continue;
    const choose = mayBeSparse(adapter, encoded) ? choosingPacking : undefined;
    const chosen = finish(planningPacking(adapter, encoded, tensor, use, { memory, choose }));
    const plan = small ? small.adjust(chosen, encoded) : chosen;
    const { form } = plan.choice;
    const made = finish(packingBy(form === 'float' ? undefined : layerFamily(form), plan));
    packed.set(name, small ? finish(small.storing(made, plan, encoded)) : made);
  }
  return { packed, small };
}

/**
 * What a plan of a compressed file takes as its parameters: each time a copy of the file's weights on the GPU, packed,
 * which the plan owns.
 * @param file as it was decoded; the plan's graph must have been made from `file.graph`
 * @param memory what the weights may take on the GPU
 */
export function packedParameters(
  gpu: Gpu,
  file: DecodedFile,
  memory: WeightMemory = 'small',
): (graph: Graph) => OwnedParameters {
  // Once for all plans: packing takes longer than uploading.
  const { packed, small } = packFile(gpu.capabilities, file, memory);
  const roles = initializerRoles(file.graph);
  return (graph) => {
    const weights = new Weights(gpu, file.graph.name, memory);
    try {
      for (const [name, tensor] of file.graph.initializers) {
        if (tensor.dtype !== 'float32' || !roles.has(name)) continue;
        if (graph.initializers.get(name)?.data !== tensor.data) continue;
        const kind = file.encodings.get(name)?.kind ?? 'f32';
        if (!small?.holds(name, tensor, kind)) finish(weights.adding(name, tensor, packed.get(name)));
      }
      if (small) finish(small.addingBiases(weights));
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
