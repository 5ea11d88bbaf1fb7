import type { BufferSlice } from '../gpu/buffers.ts';
import { LimitError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { SEGMENT } from '../kernels/arena.ts';
import type { Operand } from '../kernels/kernel.ts';
import type { LayerKernels, PackedLayout } from '../kernels/layerFamily.ts';
import type { Builder } from './builder.ts';
import type { PackedInputs, Role } from './operator.ts';
import { findOperator } from './registry.ts';
import { type Derived, elementsOf } from './value.ts';

export interface Parameter {
  readonly name: string;
  readonly role: Role;
  readonly shape: readonly number[];
  readonly elements: number;
  /** First element in its arena. */
  readonly offset: number;
}

/** Where a plan finds the float initializers of its graph on the GPU. */
export interface ParameterSource {
  find(name: string): Pick<Parameter, 'shape'> | undefined;
  slice(name: string): BufferSlice;
  /** The initializer in packed form; then `find` does not know it. */
  packed?(name: string): StoredLayer | undefined;
  /** Nothing is to be kept of what is made of initializers: every run makes it. */
  readonly isSmall?: boolean;
  /** Where plans share what is made once of an initializer; undefined where a plan is to keep it for itself. */
  derive?(name: string, key: string, bytes: number): Derived | undefined;
  /** A bias in half precision, two elements per word; then `find` does not know it. Only of layers that are expanded. */
  half?(name: string): BufferSlice | undefined;
}

/** Packed weights that lie in a buffer. */
export interface StoredLayer {
  readonly slice: BufferSlice;
  readonly layer: PackedLayout;
  readonly kernels: LayerKernels;
  /**
   * Where the buffer has not the kernel's words, but what these are made of: records that, and makes a float32 bias of one
   * in half precision.
   */
  expand?(
    builder: Builder,
    slice: BufferSlice,
    half?: BufferSlice,
  ): Pick<PackedInputs, 'bias'> & { operand: Operand<'u32'> };
}

export type ArenaName = 'weights' | 'state' | 'constants';

interface Arena {
  readonly parameters: Parameter[];
  /** Elements, a multiple of SEGMENT. */
  elements: number;
  buffer?: GPUBuffer;
}

const TRAINED: ReadonlySet<Role> = new Set(['weight', 'bias', 'norm', 'scale']);

/**
 * The float initializers of a graph in GPU memory, in three arenas: what is trained (`weights`), what the forward pass
 * keeps up (`state`) and what never changes (`constants`). One arena per kind lets the optimizer, sensitivity and
 * pruning work on all parameters with one dispatch, and a checkpoint copy one range.
 */
export class ParameterStore implements ParameterSource {
  readonly gpu: Gpu;
  readonly #arenas: Record<ArenaName, Arena> = {
    weights: { parameters: [], elements: 0 },
    state: { parameters: [], elements: 0 },
    constants: { parameters: [], elements: 0 },
  };
  readonly #byName = new Map<string, { parameter: Parameter; arena: ArenaName }>();
  readonly #companions: GPUBuffer[] = [];

  constructor(gpu: Gpu, graph: Graph) {
    this.gpu = gpu;
    const roles = initializerRoles(graph);
    for (const [name, tensor] of graph.initializers) {
      if (tensor.dtype !== 'float32') continue;
      const role = roles.get(name);
      if (!role) continue;
      const kind: ArenaName = TRAINED.has(role) ? 'weights' : role === 'state' ? 'state' : 'constants';
      const arena = this.#arenas[kind];
      const elements = elementsOf(tensor.shape);
      const parameter = { name, role, shape: tensor.shape, elements, offset: arena.elements };
      arena.parameters.push(parameter);
      arena.elements += Math.ceil(Math.max(elements, 1) / SEGMENT) * SEGMENT;
      this.#byName.set(name, { parameter, arena: kind });
    }
    for (const [kind, arena] of Object.entries(this.#arenas)) {
      if (arena.elements === 0) continue;
      if (arena.elements * 4 > gpu.capabilities.maxBufferBytes) {
        throw new LimitError(
          `The model's ${kind} take ${arena.elements * 4} bytes, more than this adapter's largest buffer`,
        );
      }
      arena.buffer = gpu.buffers.create(arena.elements * 4, kind);
    }
    this.upload(graph.initializers);
  }

  /** Trained parameters, in the order of the arena. */
  get trained(): readonly Parameter[] {
    return this.#arenas.weights.parameters;
  }

  get state(): readonly Parameter[] {
    return this.#arenas.state.parameters;
  }

  /** Elements of an arena, padding included: a multiple of SEGMENT. */
  elements(arena: ArenaName): number {
    return this.#arenas[arena].elements;
  }

  /** Of all arenas. */
  get bytes(): number {
    return Object.values(this.#arenas).reduce((sum, { elements }) => sum + 4 * elements, 0);
  }

  /** A whole arena; throws where the graph has nothing of that kind. */
  arena(kind: ArenaName): BufferSlice {
    const { buffer, elements } = this.#arenas[kind];
    if (!buffer) throw new Error(`The graph has no ${kind}`);
    return { buffer, offset: 0, size: elements * 4 };
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  find(name: string): Parameter | undefined {
    return this.#byName.get(name)?.parameter;
  }

  /** Where a parameter lies, its padding up to the segment's end included. */
  slice(name: string): BufferSlice {
    const found = this.#byName.get(name);
    if (!found) throw new Error(`No parameter ${name}`);
    return this.sliceOf(found.parameter, this.arena(found.arena).buffer);
  }

  /** The same range in a companion of the weights' arena (gradients, momentum, scores). */
  sliceOf(parameter: Parameter, buffer: GPUBuffer): BufferSlice {
    const size = Math.ceil(Math.max(parameter.elements, 1) / SEGMENT) * SEGMENT * 4;
    return { buffer, offset: parameter.offset * 4, size };
  }

  /** A zeroed buffer as long as the weights' arena; freed with the store. */
  companion(label: string): BufferSlice {
    const size = Math.max(this.#arenas.weights.elements, SEGMENT) * 4;
    const buffer = this.gpu.buffers.create(size, label);
    this.#companions.push(buffer);
    return { buffer, offset: 0, size };
  }

  /** Writes host tensors over the parameters of the same name. */
  upload(tensors: ReadonlyMap<string, Tensor>): void {
    for (const [name, { parameter, arena }] of this.#byName) {
      const tensor = tensors.get(name);
      if (!tensor) continue;
      if (elementsOf(tensor.shape) !== parameter.elements) throw new Error(`${name} has changed its size`);
      if (parameter.elements === 0) continue;
      this.gpu.write(this.sliceOf(parameter, this.arena(arena).buffer), tensor.data as Float32Array<ArrayBuffer>);
    }
  }

  /** Reads trained parameters and state back, as host tensors by name. */
  async download(): Promise<Map<string, Tensor>> {
    const tensors = new Map<string, Tensor>();
    for (const kind of ['weights', 'state'] as const) {
      const { parameters, buffer } = this.#arenas[kind];
      if (!buffer) continue;
      const data = await this.gpu.readFloats(this.arena(kind));
      for (const { name, shape, offset, elements } of parameters) {
        tensors.set(name, { dtype: 'float32', shape, data: data.slice(offset, offset + elements) });
      }
    }
    return tensors;
  }

  dispose(): void {
    for (const { buffer } of Object.values(this.#arenas)) if (buffer) this.gpu.buffers.destroy(buffer);
    for (const buffer of this.#companions) this.gpu.buffers.destroy(buffer);
  }
}

/** The role of every float initializer that some node reads on the GPU: that of its first consumer which is not `constant`. */
export function initializerRoles(graph: Graph): Map<string, Role> {
  const roles = new Map<string, Role>();
  for (const node of graph.nodes) {
    const named = findOperator(node.op)?.roles?.(node, graph) ?? {};
    node.inputs.forEach((name, index) => {
      if (!graph.initializers.has(name)) return;
      const role = named[index] ?? 'constant';
      const known = roles.get(name);
      if (!known || known === 'constant') roles.set(name, role);
    });
  }
  return roles;
}
