import { Builder } from '../engine/builder.ts';
import { recordForward } from '../engine/forward.ts';
import { ParameterStore } from '../engine/parameters.ts';
import { prepareGraph } from '../engine/prepare.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { Throttle } from '../gpu/throttle.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';
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
  const store = new ParameterStore(gpu, graph);
  const builder = new Builder(gpu);
  const input = recordInput(builder, {
    graph,
    shape: shapes.get(inputName) as number[],
    format: dataset,
    preprocess: options.preprocess,
    augmented: false,
  });
  const { values } = recordForward({
    builder,
    graph,
    shapes,
    store,
    inputs: new Map([[inputName, input.value]]),
    training: false,
  });
  builder.context = 'calibration';
  const scales = activations.map(({ value, signed, bits }) => {
    const scale = builder.own([1], 'f32', `scale of ${value}`);
    const x = values.get(value) as Value<'f32'>;
    lsqInitialScale(builder, { x, scale, high: quantizerLevels(bits, signed, false).high });
    return scale;
  });
  const compiled = await builder.compile('calibration');
  try {
    const feed = new TrainingFeed(dataset, { batch, seed: options.seed });
    const batches = Math.max(1, Math.floor(Math.min(options.samples, dataset.size) / batch));
    const sums = new Float64Array(activations.length);
    const throttle = new Throttle(gpu);
    for (let step = 0; step < batches; step++) {
      options.signal?.throwIfAborted();
      input.write(await feed.at(step));
      compiled.plan.replay();
      await throttle.pace();
      for (const [i, scale] of scales.entries()) {
        sums[i] += (await gpu.readFloats({ ...(scale.storage.slice as BufferSlice), size: 4 }))[0];
      }
      options.onProgress?.((step + 1) * batch, batches * batch);
    }
    return new Map(activations.map(({ scale }, i) => [scale, floatTensor([1], [Math.max(sums[i] / batches, 1e-8)])]));
  } finally {
    compiled.dispose();
    store.dispose();
  }
}
