import { type ParameterSource, ParameterStore, type StoredLayer } from '../engine/parameters.ts';
import type { Derived } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Capabilities } from '../gpu/capabilities.ts';
import { LimitError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import type { PackedLayer } from '../kernels/layerFamily.ts';
import { inSteps, type Steps } from '../kernels/steps.ts';
import type { PackedTensor, WeightMemory } from './packWeights.ts';

/**
 * A file's float tensors on the GPU, once for all batch sizes: put up one by one as they arrive, then found by the plans
 * under their names.
 */
export class Weights {
  readonly #gpu: Gpu;
  readonly #file: string;
  readonly #memory: WeightMemory;
  readonly #slices = new Map<string, BufferSlice>();
  readonly #packed = new Map<string, Omit<StoredLayer, 'slice'>>();
  /** Of the biases that are kept in half precision: the weights of the layers that read them. */
  readonly #halves = new Map<string, readonly string[]>();
  readonly #used = new Set<string>();
  /** What plans have made of a tensor once, by its name and what it is. */
  readonly #derived = new Map<string, Derived>();
  #bytes = 0;

  /** @param file for messages */
  constructor(gpu: Gpu, file: string, memory: WeightMemory) {
    this.#gpu = gpu;
    this.#memory = memory;
    this.#file = file;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Puts a tensor of the file on the GPU, in packed form where that is given. @throws LimitError as `checkSize` */
  *adding(name: string, tensor: Tensor, packed?: PackedTensor): Steps<void> {
    let data = tensor.data;
    if (packed?.packed) {
      // The words are on the GPU from here on, and in the file.
      const { kernels, weights } = packed.packed;
      const { words, ...layer } = weights;
      const { stored } = packed;
      this.#packed.set(name, stored ? { kernels, layer: stored.layer, expand: stored.expand } : { kernels, layer });
      data = stored?.words ?? words;
      // What a run makes of them is one buffer too.
      this.#check(name, words);
    }
    yield* this.#uploading(name, data);
  }

  /**
   * Puts a bias on the GPU in half precision, two elements per word.
   * @param layers names of the weights of the layers that read it, which every run expands
   */
  *addingHalf(name: string, words: Uint32Array, layers: readonly string[]): Steps<void> {
    this.#halves.set(name, layers);
    yield* this.#uploading(name, words);
  }

  *#uploading(name: string, data: Tensor['data']): Steps<void> {
    this.#check(name, data);
    const buffer = this.#gpu.buffers.create(data.byteLength, name);
    this.#bytes += buffer.size;
    const slice = { buffer, offset: 0, size: buffer.size };
    this.#slices.set(name, slice);
    const words = data as Uint32Array<ArrayBuffer>;
    // A write copies on this thread, into fresh memory.
    yield* inSteps(words.length, (begin, end) => {
      this.#gpu.write({ buffer, offset: 4 * begin, size: 4 * (end - begin) }, words.subarray(begin, end));
    });
  }

  #check(name: string, { byteLength }: Tensor['data']): void {
    checkSize(this.#gpu.capabilities, `${this.#file}: tensor ${name}`, byteLength);
  }

  /** The packed form of an initializer of a plan's graph; undefined where the plan has it in float32. */
  formOf(graph: Graph, file: Graph, name: string): PackedLayer['form'] | undefined {
    return this.#isShared(graph, file, name) ? this.#packed.get(name)?.layer.form : undefined;
  }

  #isShared(graph: Graph, file: Graph, name: string): boolean {
    const isKept = (tensor: string) =>
      this.#slices.has(tensor) && graph.initializers.get(tensor) === file.initializers.get(tensor);
    // Where folding has replaced the weights, there is nothing that expands the bias.
    return isKept(name) && (this.#halves.get(name) ?? []).every(isKept);
  }

  /**
   * Where a plan finds its initializers: those that it has in common with the file here, and those that folding made
   * (normalisation, constants) in a store of their own, which belongs to the caller.
   * @param file the graph as the file has it, whose tensors were added
   */
  sourceFor(graph: Graph, file: Graph): { source: ParameterSource; own: ParameterStore } {
    const isShared = (name: string) => this.#isShared(graph, file, name);
    const rest = [...graph.initializers].filter(([name]) => !isShared(name));
    const own = new ParameterStore(this.#gpu, { ...graph, initializers: new Map(rest) });
    const layerOf = (name: string) => (isShared(name) ? this.#packed.get(name) : undefined);
    const shared = (name: string) => {
      this.#used.add(name);
      return this.#slices.get(name) as BufferSlice;
    };
    const source: ParameterSource = {
      find: (name) => {
        if (layerOf(name) || (isShared(name) && this.#halves.has(name))) return undefined;
        return isShared(name) ? graph.initializers.get(name) : own.find(name);
      },
      slice: (name) => (isShared(name) ? shared(name) : own.slice(name)),
      packed: (name) => {
        const layer = layerOf(name);
        return layer && { ...layer, slice: shared(name) };
      },
      isSmall: this.#memory === 'small',
      derive: (name, key, bytes) => (isShared(name) ? this.#derive(`${name}, ${key}`, bytes) : undefined),
      half: (name) => (isShared(name) && this.#halves.has(name) ? shared(name) : undefined),
    };
    return { source, own };
  }

  #derive(place: string, bytes: number): Derived {
    const known = this.#derived.get(place);
    if (known) return known;
    const buffer = this.#gpu.buffers.create(bytes, place);
    this.#bytes += buffer.size;
    const made = { slice: { buffer, offset: 0, size: buffer.size }, isReady: false };
    this.#derived.set(place, made);
    return made;
  }

  /** Frees what no plan has asked for: tensors that folding replaced. A later plan puts up its own. */
  releaseUnused(): void {
    for (const [name, { buffer }] of this.#slices) {
      if (this.#used.has(name)) continue;
      this.#slices.delete(name);
      this.#bytes -= buffer.size;
      this.#gpu.buffers.destroy(buffer);
    }
  }

  dispose(): void {
    for (const { buffer } of this.#slices.values()) this.#gpu.buffers.destroy(buffer);
    for (const { slice } of this.#derived.values()) this.#gpu.buffers.destroy(slice.buffer);
    this.#slices.clear();
    this.#derived.clear();
    this.#bytes = 0;
  }
}

/** @throws LimitError where a tensor of so many bytes is larger than what the device takes as one buffer, or binds at once */
export function checkSize(capabilities: Capabilities, tensor: string, bytes: number): void {
  const { maxBindingBytes, maxBufferBytes } = capabilities;
  if (bytes <= Math.min(maxBindingBytes, maxBufferBytes)) return;
  const limit =
    maxBindingBytes < maxBufferBytes
      ? `maxStorageBufferBindingSize ${maxBindingBytes}`
      : `maxBufferSize ${maxBufferBytes}`;
  throw new LimitError(
    `${tensor} takes ${bytes} bytes, more than this adapter allows (${limit}): use another adapter or a smaller model`,
  );
}
