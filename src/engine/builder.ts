import type { BufferSlice } from '../gpu/buffers.ts';
import type { Capabilities } from '../gpu/capabilities.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { type Command, compilePlan, type Plan, type PlanOptions, type Work } from '../gpu/plan.ts';
import type { Program } from '../gpu/program.ts';
import { SCALAR_BYTES } from '../kernels/direct.ts';
import { encodeCall } from '../kernels/encode.ts';
import type { KernelCall, Operand, Recorder } from '../kernels/kernel.ts';
import type { Scalar, Shader } from '../kernels/shader.ts';
import { boundBytes, planMemory } from './memory.ts';
import { type Derive, type Derived, elementsOf, type Storage, type Value } from './value.ts';

export type Recorded =
  | {
      kind: 'dispatch';
      label: string;
      program: Program;
      operands: Value[];
      args: ArrayBuffer | BufferSlice | undefined;
      workgroups: readonly [number, number, number];
      work: Work | undefined;
    }
  | { kind: 'copy'; label: string; from: Value; to: Value }
  | { kind: 'clear'; label: string; target: Value };

/** A plan with the buffers that the planner made for it. */
export interface CompiledPlan {
  readonly plan: Plan;
  /** Where a value lies. Contents are defined after a replay for kept and persistent values only. */
  locate(value: Value): BufferSlice;
  /** Bytes of the temporaries' buffers, and what they would take without sharing. */
  readonly memory: { planned: number; unshared: number };
  /** The temporaries, and what touches them, for `liveBytes`. */
  readonly storages: ReadonlySet<Storage>;
  readonly commands: readonly Recorded[];
  dispose(): void;
}

/**
 * Records the dispatches of a graph over values whose place in memory is not settled yet, then plans their memory and
 * compiles the whole.
 */
export class Builder implements Recorder {
  readonly gpu: Gpu;
  readonly capabilities: Capabilities;
  /** Put before every dispatch's label: the node and the direction at hand. */
  context = '';
  readonly #commands: Recorded[] = [];
  readonly #owned: { dispose(): void }[] = [];
  readonly #kept = new Set<Storage>();
  /** What runs once, and what it makes. */
  #first: Builder | undefined;
  readonly #making = new Set<Derived>();

  constructor(gpu: Gpu, capabilities = gpu.capabilities) {
    this.gpu = gpu;
    this.capabilities = capabilities;
  }

  /** A temporary tensor. Its memory is shared with others whose lifetimes do not overlap. */
  tensor<T extends Scalar = 'f32'>(shape: readonly number[], dtype: T = 'f32' as T, label = 'tensor'): Value<T> {
    const elements = elementsOf(shape);
    const storage: Storage = {
      label: this.#label(label),
      bytes: elements * SCALAR_BYTES[dtype],
      first: -1,
      last: -1,
      uses: new Map(),
    };
    return { dtype, shape, elements, storage };
  }

  temporary<T extends Scalar>(dtype: T, elements: number, label?: string): Value<T> {
    return this.tensor([elements], dtype, label);
  }

  /** A tensor over memory that outlives the plan. */
  persistent<T extends Scalar = 'f32'>(
    slice: BufferSlice,
    shape: readonly number[],
    dtype: T = 'f32' as T,
    label = 'persistent',
    derive?: Derive,
  ): Value<T> {
    const elements = elementsOf(shape);
    const bytes = elements * SCALAR_BYTES[dtype];
    if (bytes > slice.size) throw new Error(`${label}: ${bytes} bytes do not fit into ${slice.size}`);
    return { dtype, shape, elements, storage: { label, bytes, slice, derive, first: -1, last: -1, uses: new Map() } };
  }

  /** A tensor with memory of its own that the caller writes before a replay or reads after it; freed with the plan. */
  own<T extends Scalar = 'f32'>(shape: readonly number[], dtype: T = 'f32' as T, label = 'own'): Value<T> {
    const buffer = this.gpu.buffers.create(elementsOf(shape) * SCALAR_BYTES[dtype], label);
    this.adopt({ dispose: () => this.gpu.buffers.destroy(buffer) });
    return this.persistent({ buffer, offset: 0, size: buffer.size }, shape, dtype, label);
  }

  isConstant(operand: Operand): boolean {
    return (operand as Value).storage.derive !== undefined;
  }

  once(
    constant: Operand,
    key: string,
    elements: number,
    record: (out: Operand<'f32'>, recorder: Recorder) => void,
  ): Value<'f32'> {
    const { label, derive } = (constant as Value).storage;
    const derived = derive!(key, 4 * elements);
    const value = this.persistent(derived.slice, [elements], 'f32', `${label}, ${key}`);
    if (!derived.isReady && !this.#making.has(derived)) {
      this.#making.add(derived);
      this.#first ??= new Builder(this.gpu, this.capabilities);
      this.#first.context = this.context;
      record(value, this.#first);
    }
    return value;
  }

  /** Hands over something that the plan needs (weights, arguments): freed with the plan, or when it does not come about. */
  adopt<T extends { dispose(): void }>(resource: T): T {
    this.#owned.push(resource);
    return resource;
  }

  /** Frees what the builder owns; the compiled plan does it otherwise. */
  dispose(): void {
    for (const resource of this.#owned.splice(0).reverse()) resource.dispose();
  }

  /** The same elements under another shape. */
  view<T extends Scalar>(value: Value<T>, shape: readonly number[]): Value<T> {
    const elements = elementsOf(shape);
    if (elements !== value.elements) throw new Error(`Cannot view ${value.shape} as ${shape}`);
    return { ...value, shape };
  }

  /** Keeps a temporary's contents until the end of the plan, so that it can be read afterwards. */
  keep(value: Value): void {
    this.#kept.add(value.storage);
  }

  dispatch<S extends Shader>(shader: S, call: KernelCall<S>): void {
    const { program, args, operands } = encodeCall(shader, call, this.capabilities);
    const values = operands.map(({ operand }) => operand as Value);
    operands.forEach(({ operand, write }) => {
      this.#touch(operand as Value, write);
    });
    this.#commands.push({
      kind: 'dispatch',
      label: this.#label(call.label ?? shader.name),
      program,
      args,
      operands: values,
      workgroups: call.workgroups,
      work: call.work,
    });
  }

  copy(from: Value, to: Value, label = 'copy'): void {
    if (from.elements !== to.elements) throw new Error(`Cannot copy ${from.shape} to ${to.shape}`);
    this.#touch(from, false);
    this.#touch(to, true);
    this.#commands.push({ kind: 'copy', label: this.#label(label), from, to });
  }

  clear(target: Value, label = 'clear'): void {
    this.#touch(target, true);
    this.#commands.push({ kind: 'clear', label: this.#label(label), target });
  }

  #touch({ storage }: Value, writes: boolean): void {
    const index = this.#commands.length;
    if (storage.first < 0) storage.first = index;
    storage.last = index;
    storage.uses.set(index, writes);
  }

  #label(label: string): string {
    return this.context ? `${this.context}: ${label}` : label;
  }

  async compile(label: string, options: Omit<PlanOptions, 'label'> = {}): Promise<CompiledPlan> {
    for (const storage of this.#kept) storage.last = Number.POSITIVE_INFINITY;
    const storages = new Set<Storage>();
    for (const command of this.#commands) {
      for (const value of valuesOf(command)) if (!value.storage.slice) storages.add(value.storage);
    }
    const layout = planMemory([...storages], this.capabilities.storageAlignment);
    const buffers: GPUBuffer[] = [];
    const locate = (value: Value): BufferSlice => {
      const { slice, bytes } = value.storage;
      // Every buffer is padded to 16 bytes, every parameter to 256.
      const size = boundBytes(bytes);
      if (slice) return { buffer: slice.buffer, offset: slice.offset, size: Math.min(size, slice.size) };
      const place = layout.placement.get(value.storage);
      if (!place) throw new Error(`${value.storage.label} is never written`);
      return { buffer: buffers[place.buffer], offset: place.offset, size };
    };
    const exact = (value: Value): BufferSlice => ({ ...locate(value), size: Math.ceil(value.storage.bytes / 4) * 4 });
    const place = (command: Recorded): Command => {
      if (command.kind === 'dispatch') {
        const { kind, label, program, args, workgroups, work } = command;
        return { kind, label, program, args, workgroups, work, storage: command.operands.map(locate) };
      }
      if (command.kind === 'copy') return { ...command, from: exact(command.from), to: exact(command.to) };
      return { ...command, target: exact(command.target) };
    };
    try {
      layout.sizes.forEach((bytes, index) => {
        const buffer = this.gpu.buffers.create(bytes, `${label}: memory ${index}`);
        this.adopt({ dispose: () => this.gpu.buffers.destroy(buffer) });
        buffers.push(buffer);
      });
      const commands = this.#commands.map(place);
      const first = await this.#first?.compile(`${label}, once`, options);
      first?.plan.replay();
      first?.dispose();
      for (const derived of this.#making) derived.isReady = true;
      const plan = await compilePlan(this.gpu, commands, { label, ...options });
      return {
        plan,
        locate: exact,
        memory: { planned: layout.sizes.reduce((sum, size) => sum + size, 0), unshared: layout.unshared },
        storages,
        commands: this.#commands,
        dispose: () => {
          plan.dispose();
          this.dispose();
        },
      };
    } catch (error) {
      this.dispose();
      throw error;
    }
  }
}

/**
 * Records a plan and compiles it. Whatever goes wrong, in recording or in compiling, leaves nothing on the GPU of what
 * the builder owns.
 */
export async function buildPlan<T>(
  gpu: Gpu,
  label: string,
  record: (builder: Builder) => T | Promise<T>,
  { capabilities, ...options }: Omit<PlanOptions, 'label'> & { capabilities?: Capabilities } = {},
): Promise<{ compiled: CompiledPlan; parts: T }> {
  const builder = new Builder(gpu, capabilities);
  try {
    const parts = await record(builder);
    return { compiled: await builder.compile(label, options), parts };
  } catch (error) {
    builder.dispose();
    throw error;
  }
}

function valuesOf(command: Recorded): Value[] {
  if (command.kind === 'dispatch') return command.operands;
  return command.kind === 'copy' ? [command.from, command.to] : [command.target];
}
