import { join } from 'node:path';
import { calibrateActivations } from '../../src/compress/calibrateActivations.ts';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { withInitializers } from '../../src/compress/state.ts';
import { type CompressedModel, decodeModel } from '../../src/format/decodeModel.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { foldBatchNorm } from '../../src/graph/passes/foldBatchNorm.ts';
import type { Graph } from '../../src/graph/types.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { parsePreprocess } from '../../src/train/data/preprocess.ts';

/**
 * The network with weights and activations of 8 bits, quantized after training: scales of weights by the least error,
 * those of activations calibrated on training images. As a file that was written and read back.
 */
export async function quantizeToInt8(gpu: Gpu, graph: Graph, folder: string): Promise<CompressedModel> {
  const source = foldBatchNorm(graph);
  const dataset = await openDataset(join(folder, 'cifar10'), { split: 'train' });
  const preprocess = parsePreprocess({ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }, { source: 'bench' });
  const weights = { bits: 8, perChannel: true, initial: 'mse' as const };
  const quantized = quantizeGraph(source, {
    weights,
    activations: { bits: 8, powerOfTwo: true },
    layers: {},
    skip: [],
  });
  const { activations } = quantized;
  const scales = await calibrateActivations(gpu, {
    graph: source,
    activations,
    dataset,
    preprocess,
    samples: 256,
    seed: 1,
  });
  const file = deployToBytes(withInitializers(quantized.graph, scales), 'float16', {});
  return decodeModel(file, { fileName: 'int8' });
}
