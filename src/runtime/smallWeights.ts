import { layerBiases } from '../engine/layerBiases.ts';
import type { StoredLayer } from '../engine/parameters.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { ABOUT } from '../kernels/chooseDense.ts';
import { halfWords } from '../kernels/halfWords.ts';
import type { Steps } from '../kernels/steps.ts';
import { storingWeights } from '../kernels/storedWeights.ts';
import type { PackedTensor, PackingPlan } from './packWeights.ts';
import type { Weights } from './weights.ts';

/** Small layers get so much of the payload each, and all together, to take more than they have in the file. */
const SPARE = { each: 0.005, all: 0.015 };

/**
 * Keeps the weights of one file about as small on the GPU as they are there: what their kernels read is made in every run
 * where it would take over 5 % more. Small layers, whose unpacking would cost more time than it saves memory, are left as
 * they are, in the order in which they come, up to 1.5 % of the whole.
 */
export class SmallWeights {
  readonly #spare: { each: number; all: number };
  readonly #layersOf: ReadonlyMap<string, string[]>;
  readonly #stored = new Set<string>();
  readonly #biases = new Map<string, { tensor: Tensor; kind: string }>();

  /** @param payload bytes of the file's tensors */
  constructor(graph: Graph, payload: number) {
    this.#spare = { each: SPARE.each * payload, all: SPARE.all * payload };
    this.#layersOf = layerBiases(graph);
  }

  /** The plan, or one that makes floats of streams: kernels of packed weights read them too. */
  adjust(plan: PackingPlan, encoded: EncodedTensor): PackingPlan {
    const { choice, matrix } = plan;
    if (choice.form !== 'float' || matrix?.values.kind !== 'f32') return plan;
    return matrix.values.data.byteLength <= ABOUT * encoded.bytes
      ? plan
      : { ...plan, choice: { ...choice, form: 'dense' } };
  }

  /** What is put on the GPU for weights that were packed by the plan. */
  *storing(packed: PackedTensor, { matrix, choice }: PackingPlan, encoded: EncodedTensor): Steps<PackedTensor> {
    const form = packed.packed;
    if (!form || !matrix) return packed;
    const whole = form.weights.words.byteLength;
    if (whole <= ABOUT * encoded.bytes || this.#takeSpare(whole - encoded.bytes)) return packed;
    const stored = yield* storingWeights(matrix, form.weights);
    if (!stored) return packed;
    this.#stored.add(encoded.name);
    // Without what the words were made of, which need not stay on the host.
    const { layer, words, coding, expand: expandWords } = stored;
    const reason = `${choice.reason}; ${whole} bytes, which every run makes of ${words.byteLength} (${coding} streams)`;
    const expand: StoredLayer['expand'] = (builder, slice, half) => {
      const read = (words: BufferSlice) => builder.persistent(words, [words.size / 4], 'u32', encoded.name);
      return expandWords(builder, { stored: read(slice), halfBias: half && read(half) });
    };
    return { packed: form, stored: { layer, words, coding, expand }, choice: { ...choice, reason } };
  }

  /** Holds a bias back until the weights of its layers are there; false where the tensor is none. */
  holds(name: string, tensor: Tensor, kind: string): boolean {
    if (!this.#layersOf.has(name)) return false;
    this.#biases.set(name, { tensor, kind });
    return true;
  }

  /** Puts the biases on the GPU: in half precision where the file has them so and every run expands the weights. */
  *addingBiases(weights: Weights): Steps<void> {
    for (const [name, { tensor, kind }] of this.#biases) {
      const layers = this.#layersOf.get(name) as string[];
      if (kind === 'f16' && layers.every((layer) => this.#stored.has(layer))) {
        yield* weights.addingHalf(name, halfWords(tensor.data as Float32Array), layers);
      } else yield* weights.adding(name, tensor);
    }
    this.#biases.clear();
  }

  #takeSpare(bytes: number): boolean {
    if (bytes > Math.min(this.#spare.each, this.#spare.all)) return false;
    this.#spare.all -= bytes;
    return true;
  }
}
