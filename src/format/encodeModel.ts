import type { Graph } from '../graph/types.ts';
import { validateGraph } from '../graph/validate.ts';
import { concatBytes } from './bytes.ts';
import { fileChecksum } from './checksum.ts';
import type { EncodedTensor, WeightEncoding } from './encodedTensor.ts';
import { graphJson } from './graphJson.ts';
import { entryType, mayOwnEntry, OWN_ENTRY_BYTES, POOL } from './layoutTensors.ts';
import type { ModelMeta } from './meta.ts';
import { keepTensor, packTensor } from './packTensor.ts';
import { type ContainerTensor, sortTensors, writeContainer } from './safetensors.ts';
import { tensorPayload } from './tensorRecord.ts';
import { FORMAT_VERSION } from './version.ts';

/**
 * The bytes of a compressed file. `encodings` says how to store float32 initializers, by name; those without one are
 * kept exactly (float32, or their own type). Integer weights must already lie on their grid: encoding never changes a
 * value except float32 to float16 where that is asked. The same arguments give the same bytes.
 * @throws Error for a request that cannot be met; InputError for a value that float16 cannot hold.
 */
export function encodeModel(
  model: Graph,
  encodings: ReadonlyMap<string, WeightEncoding>,
  meta: ModelMeta = {},
): Uint8Array {
  const graph = validateGraph(model);
  for (const name of encodings.keys()) {
    if (!graph.initializers.has(name)) throw new Error(`There is no initializer ${name} to encode.`);
  }
  const initializers = [...graph.initializers].map(([name, tensor]): EncodedTensor => {
    if (name === '') throw new Error('An initializer has no name.');
    const request = encodings.get(name) ?? (tensor.dtype === 'float32' ? { kind: 'f32' } : undefined);
    return request ? packTensor(name, tensor, request) : keepTensor(name, tensor);
  });
  const { json, tensors } = graphJson(graph, initializers, (tensor) => keepTensor('', tensor));

  const entries: ContainerTensor[] = [];
  const pooled: Uint8Array[] = [];
  for (const tensor of tensors) {
    const bytes = tensorPayload(tensor);
    if (bytes.length >= OWN_ENTRY_BYTES && mayOwnEntry(tensor.name)) {
      entries.push({ name: tensor.name, ...entryType(tensor), bytes });
    } else {
      pooled.push(bytes);
    }
  }
  const pool = concatBytes(...pooled);
  if (pool.length > 0) entries.push({ name: POOL, dtype: 'U8', shape: [pool.length], bytes: pool });
  const sorted = sortTensors(entries);

  const metaJson = JSON.stringify(meta);
  const checksum = fileChecksum(
    json,
    metaJson,
    sorted.map(({ bytes }) => bytes),
  );
  const metadata: [string, string][] = [
    ['wgslim.version', FORMAT_VERSION],
    ['wgslim.crc32', checksum],
    ['wgslim.graph', json],
    ['wgslim.meta', metaJson],
  ];
  return writeContainer(metadata, sorted);
}
