import { prepareGraph } from '../engine/prepare.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import type { ImportanceKind } from '../kernels/accumulateImportance.ts';
import { quantizerLevels } from '../kernels/fakeQuantize.ts';
import type { Dataset } from '../train/data/dataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import { takeFirst } from '../train/data/split.ts';
import { evaluate } from '../train/evaluate.ts';
import { calibrate } from './calibrate.ts';
import { weightedLayers } from './layers.ts';
import { channelValues, mseScale } from './scales.ts';
import { withInitializers } from './state.ts';

export interface SensitivityOptions {
  calibration: Dataset;
  preprocess: Preprocess;
  /** |w·g| (`taylor`), |g| (`gradient`) or |w| (`magnitude`). Default taylor. */
  kind?: ImportanceKind;
  /** Calibration samples. Default 1024. */
  samples?: number;
  /** Default 32: importance is averaged over the gradients of batches of this size. */
  batch?: number;
  seed?: number;
  /** What pruning or quantizing each layer alone would cost, measured on this data set. */
  probe?: { dataset: Dataset; sparsity: number; bits: readonly number[] };
  onProgress?(done: number, total: number): void;
  signal?: AbortSignal | undefined;
}

export interface SensitivityProbe {
  kind: 'prune' | 'quantize';
  /** Sparsity, or bits. */
  setting: number;
  loss: number;
  top1: number;
  /** Against the untouched network on the same data. */
  lossIncrease: number;
}

export interface LayerSensitivity {
  name: string;
  weight: string;
  shape: readonly number[];
  elements: number;
  /** Mean and sum of the importance of the layer's weights. */
  mean: number;
  sum: number;
  /** Sums per output channel. */
  channels: number[];
  probes?: SensitivityProbe[];
}

export interface SensitivityReport {
  kind: ImportanceKind;
  samples: number;
  baseline: { loss: number; top1: number };
  layers: LayerSensitivity[];
}

/** How much every layer and every output channel matters to the loss, and on request what compressing each layer alone costs. */
export async function measureSensitivity(
  gpu: Gpu,
  source: Graph,
  options: SensitivityOptions,
): Promise<SensitivityReport> {
  const { graph } = prepareGraph(source, {});
  const { calibration, preprocess, probe, signal, kind = 'taylor' } = options;
  const layers = weightedLayers(graph);
  if (layers.length === 0) throw new InputError('The model has no Conv, Gemm or MatMul with weights of its own');
  const samples = Math.min(options.samples ?? 1024, calibration.size);
  const probed = probe ? layers.length * (1 + probe.bits.length) : 0;
  const total = samples + (1 + probed) * (probe?.dataset.size ?? samples);
  let before = 0;
  const report = (done: number) => options.onProgress?.(before + done, total);

  const {
    trainer,
    batches,
    samples: used,
  } = await calibrate(gpu, {
    graph,
    dataset: calibration,
    preprocess,
    seed: options.seed ?? 1,
    importance: kind,
    samples,
    batch: options.batch ?? 32,
    onProgress: report,
    signal,
  });
  const scores = await readScores(trainer, kind, batches).finally(() => trainer.dispose());
  before += samples;

  const measure = async (changed: Graph, dataset: Dataset) => {
    const { loss, top1, images } = await evaluate(gpu, changed, dataset, { preprocess, signal, onProgress: report });
    before += images;
    return { loss, top1 };
  };
  const baseline = await measure(graph, probe?.dataset ?? takeFirst(calibration, samples));

  const result: LayerSensitivity[] = [];
  for (const { node, weight, channelAxis } of layers) {
    const tensor = graph.initializers.get(weight) as Tensor;
    const layer = scores.get(weight) as Float32Array;
    const sum = total64(layer);
    const channels = Array.from({ length: tensor.shape[channelAxis] }, (_, channel) =>
      total64(channelValues(layer, tensor.shape, channelAxis, channel)),
    );
    const entry: LayerSensitivity = {
      name: node.name,
      weight,
      shape: tensor.shape,
      elements: layer.length,
      mean: layer.length > 0 ? sum / layer.length : 0,
      sum,
      channels,
    };
    if (probe) {
      const tries: { kind: 'prune' | 'quantize'; setting: number; changed: Tensor }[] = [
        { kind: 'prune', setting: probe.sparsity, changed: prunedByMagnitude(tensor, probe.sparsity) },
        ...probe.bits.map((bits) => ({
          kind: 'quantize' as const,
          setting: bits,
          changed: rounded(tensor, bits, channelAxis),
        })),
      ];
      entry.probes = [];
      for (const { kind: what, setting, changed } of tries) {
        const { loss, top1 } = await measure(withInitializers(graph, new Map([[weight, changed]])), probe.dataset);
        entry.probes.push({ kind: what, setting, loss, top1, lossIncrease: loss - baseline.loss });
      }
    }
    result.push(entry);
  }
  return { kind, samples: used, baseline, layers: result };
}

type Calibrated = Awaited<ReturnType<typeof calibrate>>['trainer'];

/** Mean importance of every weight, by the name of its tensor. */
async function readScores(
  trainer: Calibrated,
  kind: ImportanceKind,
  batches: number,
): Promise<Map<string, Float32Array>> {
  const arena = kind === 'magnitude' ? trainer.store.arena('weights') : trainer.scores;
  if (!arena) throw new Error('Calibration accumulated nothing');
  const data = await trainer.gpu.readFloats(arena);
  return new Map(
    trainer.store.trained.map(({ name, offset, elements }) => [
      name,
      data
        .subarray(offset, offset + elements)
        .map((value) => (kind === 'magnitude' ? Math.abs(value) : value / batches)),
    ]),
  );
}

function total64(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

function prunedByMagnitude(tensor: Tensor, sparsity: number): Tensor {
  const data = tensor.data as Float32Array;
  const order = Uint32Array.from({ length: data.length }, (_, i) => i).sort(
    (a, b) => Math.abs(data[a]) - Math.abs(data[b]),
  );
  const pruned = data.slice();
  for (const index of order.subarray(0, Math.floor(sparsity * data.length))) pruned[index] = 0;
  return floatTensor(tensor.shape, pruned);
}

/** Rounded to `bits` bits per output channel, with the least-error scale. */
function rounded(tensor: Tensor, bits: number, axis: number): Tensor {
  const data = tensor.data as Float32Array;
  const range = quantizerLevels(bits, true, true);
  const scales = Array.from({ length: tensor.shape[axis] }, (_, channel) =>
    mseScale(channelValues(data, tensor.shape, axis, channel), range),
  );
  const inner = tensor.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  return floatTensor(
    tensor.shape,
    data.map((value, i) => {
      const scale = scales[Math.floor(i / inner) % scales.length];
      return scale * Math.min(Math.max(Math.round(value / scale), range.low), range.high);
    }),
  );
}
