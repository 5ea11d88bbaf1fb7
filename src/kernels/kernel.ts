import type { BufferSlice } from '../gpu/buffers.ts';
import type { Capabilities } from '../gpu/capabilities.ts';
import { LimitError } from '../gpu/errors.ts';
import type { Work } from '../gpu/plan.ts';
import type { Args, Scalar, Shader, Tunables } from './shader.ts';

/**
 * A buffer that a kernel reads or writes, as far as a kernel cares: what it holds and how much. The engine's tensors and
 * plain buffers both are operands.
 */
export interface Operand<T extends Scalar = Scalar> {
  readonly dtype: T;
  /** Scalars in it. */
  readonly elements: number;
}

/** The same memory, for a kernel that reads it as words. */
export function asWords<O extends Operand>(operand: O): O & Operand<'u32'> {
  return { ...operand, dtype: 'u32', elements: operand.dtype === 'f16' ? operand.elements / 2 : operand.elements };
}

export type Operands<S extends Shader> = { readonly [K in keyof S['bindings']]: Operand<S['bindings'][K]['element']> };

export interface KernelCall<S extends Shader> {
  operands: Operands<S>;
  /** The uniform's fields, or a uniform buffer that its owner rewrites between replays (see `DynamicArgs`). */
  args: Args<S> | BufferSlice;
  tunables?: Tunables<S>;
  workgroups: readonly [number, number, number];
  /** What the dispatch is for, in a profile: `conv1: forward`. The recorder puts its own context before it. */
  label?: string;
  /** Arithmetic for profiles, of kernels that do a good deal of it. */
  work?: Work;
}

/** Where kernels are recorded. The engine's builder places operands in memory later; `DirectRecorder` has them already. */
export interface Recorder {
  readonly capabilities: Capabilities;
  dispatch<S extends Shader>(shader: S, call: KernelCall<S>): void;
  /** A temporary that lives as long as the dispatches that name it. Its contents are undefined until written. */
  temporary<T extends Scalar>(dtype: T, elements: number, label?: string): Operand<T>;
  /** Whether nothing changes an operand as long as the plan exists. Absent: nobody knows, of any. */
  isConstant?(operand: Operand): boolean;
  /**
   * What `record` makes of a constant: recorded aside, to run once before the plan's first replay, or not at all where it
   * is there already.
   * @param key what it is, to tell it from others that are made of the same constant
   */
  once?(
    constant: Operand,
    key: string,
    elements: number,
    record: (out: Operand<'f32'>, recorder: Recorder) => void,
  ): Operand<'f32'>;
}

/** Workgroups for `items` of `perGroup` each, folded into y beyond the limit of one dimension; see shaders/common/grid.wgsl. */
export function grid(items: number, perGroup: number, limit = 65535): [number, number, number] {
  const groups = Math.ceil(items / perGroup);
  if (groups <= limit) return [groups, 1, 1];
  const y = Math.ceil(groups / limit);
  if (y > limit)
    throw new LimitError(`A dispatch over ${items} items needs more workgroups than two dimensions of ${limit} hold`);
  return [Math.ceil(groups / y), y, 1];
}

/** Encodes the fields of a uniform struct at their reflected offsets. Refuses a field that is missing or no number. */
export function encodeArgs(shader: Shader, args: Readonly<Record<string, number>>): ArrayBuffer {
  if (!shader.args) throw new Error(`Shader ${shader.name} takes no arguments`);
  const view = new DataView(new ArrayBuffer(Math.ceil(shader.args.size / 16) * 16));
  for (const [name, { offset, type }] of Object.entries(shader.args.fields)) {
    const value = args[name];
    if (typeof value !== 'number') throw new Error(`Shader ${shader.name} needs the argument ${name}`);
    if (type === 'f32') view.setFloat32(offset, value, true);
    else {
      const [low, high] = type === 'u32' ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
      if (!Number.isInteger(value) || value < low || value > high) {
        throw new LimitError(`Argument ${name} of ${shader.name} is ${value}, not a ${type}`);
      }
      if (type === 'u32') view.setUint32(offset, value, true);
      else view.setInt32(offset, value, true);
    }
  }
  for (const name of Object.keys(args)) {
    if (!(name in shader.args.fields)) throw new Error(`Shader ${shader.name} has no argument ${name}`);
  }
  return view.buffer;
}

/** Operands in the order of their bindings, each checked to be named, of the right type, and nothing left over. */
export function orderOperands(
  shader: Shader,
  operands: Readonly<Record<string, Operand>>,
): { operand: Operand; write: boolean }[] {
  const ordered: { operand: Operand; write: boolean }[] = [];
  const first = shader.args ? 1 : 0;
  for (const [name, binding] of Object.entries(shader.bindings)) {
    const operand = operands[name];
    if (!operand) throw new Error(`Shader ${shader.name} needs the operand ${name}`);
    if (operand.dtype !== binding.element) {
      throw new Error(`Operand ${name} of ${shader.name} must hold ${binding.element}, not ${operand.dtype}`);
    }
    ordered[binding.binding - first] = { operand, write: binding.access === 'read_write' };
  }
  for (const name of Object.keys(operands)) {
    if (!(name in shader.bindings)) throw new Error(`Shader ${shader.name} has no operand ${name}`);
  }
  return ordered;
}
