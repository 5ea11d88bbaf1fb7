import { buildPlan } from '../engine/builder.ts';
import { recordForward } from '../engine/forward.ts';
import { ParameterStore } from '../engine/parameters.ts';
import { prepareGraph } from '../engine/prepare.ts';
import { loadOperators } from '../engine/registry.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { SEGMENT } from '../kernels/arena.ts';
import { quantizerLevels } from '../kernels/fakeQuantize.ts';
import { lsqInitialScale } from '../kernels/lsqInitialScale.ts';
import type { Dataset } from '../train/data/dataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import { TrainingFeed } from '../train/feed.ts';
import { checkedInput, recordInput } from '../train/input.ts';
import { logitsGraph } from '../train/logits.ts';
import type { QuantizedGraph } from './quantizeGraph.ts';

const BATCH = 64;

/**
 * First scales of the activations' quantizers: LSQ's 2·mean|x|/√Qp (Esser et al. 2020, §2.1), the mean over `samples`
 * calibration samples that go through the network before it is quantized.
 */
export async function calibrateActivations(
  gpu: Gpu,
  options: {
    graph: Graph;
    activations: QuantizedGraph['activations'];
    dataset: Dataset;
    preprocess: Preprocess;
    samples: number;
    seed: number;
    onProgress?(done: number, total: number): void;
    signal?: AbortSignal | undefined;
  },
): Promise<Map<string, Tensor>> {
  const { dataset, activations } = options;
  const batch = Math.min(BATCH, dataset.size);
  const { graph, shapes } = prepareGraph(logitsGraph(options.graph), { batch });
  const inputName = checkedInput(graph, shapes, dataset, options.preprocess);
  await loadOperators(graph);
  const { compiled, parts } = await buildPlan(gpu, 'calibration', (builder) => {
    const store = builder.adopt(new ParameterStore(gpu, graph));
    const input = recordInput(builder, {
      graph,
      shape: shapes.get(inputName) as number[],
      format: dataset,
      preprocess: options.preprocess,
      augmented: false,
    });
    const inputs = new Map([[inputName, input.value]]);
    const { values } = recordForward({ builder, graph, shapes, store, inputs, training: false });
    builder.context = 'calibration';
    // One buffer for all scales, each where a binding may start, so that a batch takes one read-back.
    const scales = builder.own([activations.length, SEGMENT], 'f32', 'scales').storage.slice as BufferSlice;
    activations.forEach(({ value, signed, bits }, i) => {
      const slice = { buffer: scales.buffer, offset: 4 * SEGMENT * i, size: 4 * SEGMENT };
      const scale = builder.persistent(slice, [1], 'f32', `scale of ${value}`);
      const x = values.get(value) as Value<'f32'>;
      lsqInitialScale(builder, { x, scale, high: quantizerLevels(bits, signed, false).high });
    });
    return { input, scales };
  });
  try {
    const feed = new TrainingFeed(dataset, { batch, seed: options.seed });
    const batches = Math.max(1, Math.floor(Math.min(options.samples, dataset.size) / batch));
    const sums = new Float64Array(activations.length);
    for (let step = 0; step < batches; step++) {
      options.signal?.throwIfAborted();
      parts.input.write(await feed.at(step));
      compiled.plan.replay();
      const scales = await gpu.readFloats(parts.scales);
      for (let i = 0; i < sums.length; i++) sums[i] += scales[SEGMENT * i];
      options.onProgress?.((step + 1) * batch, batches * batch);
    }
    return new Map(activations.map(({ scale }, i) => [scale, floatTensor([1], [Math.max(sums[i] / batches, 1e-8)])]));
  } finally {
    compiled.dispose();
  }
}
