/** Compressed files without training: weights rounded to a grid per output channel. */
import { initializerRoles } from '../../src/engine/parameters.ts';
import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import type { ModelMeta } from '../../src/format/meta.ts';
import { foldBatchNorm } from '../../src/graph/passes/foldBatchNorm.ts';
import { floatTensor, numel } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';

/** @param bits 32 leaves the weights as they are */
export function roundWeights(source: Graph, bits: number, meta: ModelMeta): Uint8Array<ArrayBuffer> {
  const graph = foldBatchNorm(source);
  const initializers = new Map(graph.initializers);
  const encodings = new Map<string, WeightEncoding>();
  for (const [name, role] of initializerRoles(graph)) {
    const tensor = initializers.get(name)!;
    if (role !== 'weight' || tensor.shape.length < 2 || bits === 32) continue;
    const high = 2 ** (bits - 1) - 1;
    const each = numel(tensor.shape.slice(1));
    const data = (tensor.data as Float32Array).slice();
    const scale = new Float32Array(tensor.shape[0]!);
    for (let channel = 0; channel < scale.length; channel++) {
      const row = data.subarray(channel * each, (channel + 1) * each);
      const most = row.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      scale[channel] = most / high || 1;
      for (let i = 0; i < each; i++) {
        const code = Math.min(high, Math.max(-high, Math.round(row[i]! / scale[channel]!)));
        row[i] = Math.fround(scale[channel]! * code);
      }
    }
    initializers.set(name, floatTensor(tensor.shape, data));
    encodings.set(name, { kind: 'int', bits, scale, axis: 0 });
  }
  return encodeModel({ ...graph, initializers }, encodings, meta) as Uint8Array<ArrayBuffer>;
}
