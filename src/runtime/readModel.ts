import { type LayerUse, packableWeights } from '../engine/packing.ts';
import { initializerRoles } from '../engine/parameters.ts';
import { assembleGraph, decodeArrived, decodingArrived } from '../format/decodeModel.ts';
import { buildGraph } from '../format/graphJson.ts';
import type { ModelMeta } from '../format/meta.ts';
import { type ModelHeader, ModelReader } from '../format/modelReader.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { batchNormFolded } from '../graph/passes/batchNormFolded.ts';
import { allocate, numel } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import type { ChoiceAdapter } from '../kernels/chooseDense.ts';
import { finishPausing, type Steps } from '../kernels/steps.ts';
import { loadChooser, loadFamily } from './families.ts';
import { pause } from './pace.ts';
import { packingBy, planningPacking, type WeightMemory } from './packWeights.ts';
import type { SmallWeights } from './smallWeights.ts';
import { type OpenedSource, PIECE } from './source.ts';
import { storedTensor } from './storedTensor.ts';
import { checkSize, Weights } from './weights.ts';

export interface LoadProgress {
  /** Bytes that have arrived. */
  loaded: number;
  /** Bytes of the whole file; undefined until its header is there. */
  total: number | undefined;
}

/** What is kept of a file on the host: enough to put it on another device. */
export interface KeptFile {
  name: string;
  bytes: Uint8Array;
  meta: ModelMeta;
}

/** A file that has arrived, for plans of all shapes. */
export interface ReadModel {
  file: KeptFile;
  /** With normalisation folded. What is on the GPU as the file has it is not on the host: see `storedTensor`. */
  graph: Graph;
  /** Its float initializers. */
  weights: Weights;
}

/**
 * Reads a file as it arrives and puts each tensor on the GPU as soon as its last byte is there. What the header claims is
 * held against the device's limits before anything is allocated, and each packed layer before its buffer is. Returns
 * after the checksum; where anything is wrong, nothing stays on the GPU.
 */
export async function readModel(
  gpu: Promise<Gpu>,
  source: OpenedSource,
  {
    onProgress,
    weights: memory = 'small',
  }: { onProgress?: (progress: LoadProgress) => void; weights?: WeightMemory | undefined },
): Promise<ReadModel> {
  const reader = new ModelReader(source.name, source.bytes);
  const tensors: Tensor[] = [];
  let small: SmallWeights | undefined;
  let upload: Upload | undefined;
  try {
    for await (const piece of source.pieces) {
      reader.push(piece);
      const { header } = reader;
      onProgress?.({
        loaded: reader.bytes.length,
        total: header ? header.headerBytes + header.payloadBytes : source.bytes,
      });
      if (!header) continue;
      if (!upload) {
        upload = startUpload(await gpu, header, source.name, memory);
        if (memory === 'small') {
          const { SmallWeights } = await import('./smallWeights.ts');
          small = new SmallWeights(upload.graph, header.payloadBytes);
        }
        await pause();
      }
      for (const arrived of reader.take()) {
        const tensor = await paced(decodingArrived(arrived));
        const { index } = arrived;
        const { name } = arrived.tensor;
        const use = upload.layers.get(name);
        const choose = use && (await loadChooser(upload.adapter, arrived.tensor));
        let plan =
          use && (await paced(planningPacking(upload.adapter, arrived.tensor, tensor, use, { memory, choose })));
        if (plan && small) plan = small.adjust(plan, arrived.tensor);
        let packed = plan && (await paced(packingBy(await loadFamily(upload.adapter, plan.choice.form), plan)));
        if (packed && plan && small) packed = await paced(small.storing(packed, plan, arrived.tensor));
        const isThere = upload.names.has(name);
        if (isThere && !small?.holds(name, tensor, arrived.tensor.kind)) {
          await paced(upload.weights.adding(name, tensor, packed));
        }
        tensors[index] = isThere ? storedTensor(tensor, () => decodeArrived(reader.again(index)).data) : tensor;
        await pause();
      }
      await pause();
    }
    reader.finish();
    await pause();
    const header = reader.header as ModelHeader;
    // A file without a payload has had no piece after its header.
    upload ??= startUpload(await gpu, header, source.name, memory);
    const { weights } = upload;
    if (small) await paced(small.addingBiases(weights));
    // Once for all plans; files that wgslim wrote have nothing to fold.
    const unfolded = assembleGraph(header, tensors, source.name);
    const graph = await batchNormFolded(unfolded);
    for (const [name, tensor] of graph.initializers) {
      if (!unfolded.initializers.has(name)) await paced(weights.adding(name, tensor));
      await pause();
    }
    return { file: { name: source.name, bytes: reader.bytes, meta: header.meta }, graph, weights };
  } catch (error) {
    upload?.weights.dispose();
    throw error;
  }
}

/** The bytes that are kept, as if they arrived once more. */
export function keptSource({ name, bytes }: KeptFile): OpenedSource {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += PIECE) {
      yield bytes.subarray(at, at + PIECE);
      await pause();
    }
  }
  return { name, bytes: bytes.length, pieces: pieces() };
}

const paced = <T>(steps: Steps<T>): Promise<T> => finishPausing(steps, pause);

interface Upload {
  /** Before any tensor is there. */
  graph: Graph;
  adapter: ChoiceAdapter;
  weights: Weights;
  /** Of the float tensors that some node reads on the GPU. */
  names: ReadonlySet<string>;
  /** Those of them that may stay packed. */
  layers: ReadonlyMap<string, LayerUse>;
}

function startUpload(gpu: Gpu, header: ModelHeader, file: string, memory: WeightMemory): Upload {
  const graph = outline(header, file);
  const roles = initializerRoles(graph);
  const layers = packableWeights(graph);
  const names = new Set<string>();
  for (const { name, dtype, shape, bytes } of header.parsed.records) {
    if (dtype !== 'float32' || !roles.has(name)) continue;
    names.add(name);
    // What is packed takes about what it takes in the file; how much exactly shows when it is packed.
    const floats = 4 * numel(shape);
    checkSize(gpu.capabilities, `${file}: tensor ${name}`, layers.has(name) ? Math.min(bytes, floats) : floats);
  }
  return { graph, adapter: gpu.capabilities, weights: new Weights(gpu, file, memory), names, layers };
}

/** The graph before any tensor is there. */
function outline({ parsed }: ModelHeader, file: string): Graph {
  const placeholders = parsed.records.map(({ dtype, shape }): Tensor => ({ dtype, shape, data: allocate(dtype, 0) }));
  return buildGraph(parsed, placeholders, `${file}: wgslim.graph`);
}
