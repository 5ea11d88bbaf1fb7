/** Runs a shader of somebody's own on generated inputs. */
import type { BufferSlice } from '../../gpu/buffers.ts';
import { USAGE } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import { compilePlan, type Plan } from '../../gpu/plan.ts';
import { InputError } from '../../graph/errors.ts';
import { numberToFloat16 } from '../../kernels/float16.ts';
import { grid } from '../../kernels/kernel.ts';
import type { Field, ShaderBinding, ShaderFile } from './shaderFile.ts';

export interface ShaderRunOptions {
  /** Elements of every runtime-sized array, and of those by name. */
  size: number;
  sizes: Readonly<Record<string, number>>;
  /** Fields of uniforms: `n=4096`, `offset=1,2,3`, or with the uniform's name before them. */
  args: Readonly<Record<string, readonly number[]>>;
  workgroups?: readonly [number, number, number] | undefined;
  /** Arithmetic of the dispatch, which nobody else knows. */
  flops?: number | undefined;
}

export interface ShaderRun {
  plan: Plan;
  /** Bytes of all that is bound. */
  bytes: number;
  workgroups: readonly [number, number, number];
  dispose(): void;
}

/** Everything that can be checked before memory is taken; the contents of uniforms by binding number. */
export function checkShaderRun(file: ShaderFile, options: ShaderRunOptions): Map<number, ArrayBuffer> {
  for (const name of Object.keys(options.sizes)) {
    const binding = file.bindings.find((one) => one.name === name);
    if (!binding || binding.stride === 0) {
      const named = file.bindings.filter(({ stride }) => stride > 0).map((one) => one.name);
      throw new InputError(
        `--size ${name}: ${file.path} has no array '${name}' to be sized; it has ${named.join(', ') || 'none'}`,
      );
    }
  }
  const used = new Set<string>();
  const uniforms = new Map<number, ArrayBuffer>();
  for (const binding of file.bindings) {
    if (binding.access === 'uniform') uniforms.set(binding.binding, encodeUniform(file, binding, options.args, used));
  }
  for (const name of Object.keys(options.args)) {
    if (!used.has(name)) throw new InputError(`--args ${name}: no uniform of ${file.path} has the field '${name}'`);
  }
  return uniforms;
}

function encodeUniform(
  { path }: ShaderFile,
  { name, fixed, fixedBytes, line }: ShaderBinding,
  args: ShaderRunOptions['args'],
  used: Set<string>,
): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(Math.ceil(fixedBytes / 16) * 16));
  // The scalars of a vector share the name before the bracket.
  const groups = new Map<string, Field[]>();
  for (const field of fixed) {
    const key = field.name.replace(/(\[\d+\])+$/, '');
    groups.set(key, [...(groups.get(key) ?? []), field]);
  }
  for (const [key, fields] of groups) {
    const names = key === '' ? [name] : [`${name}.${key}`, key];
    const given = names.find((candidate) => Object.hasOwn(args, candidate));
    if (given === undefined) {
      throw new InputError(
        `${path}:${line}: the uniform '${name}' has the field '${names.at(-1)}', which has no value; give --args ${names.at(-1)}=…`,
      );
    }
    used.add(given);
    const values = args[given]!;
    if (values.length !== fields.length) {
      throw new InputError(
        `--args ${given}: ${path}:${line} takes ${fields.length} numbers there, not ${values.length}`,
      );
    }
    for (const [i, { type, offset }] of fields.entries())
      writeScalar(view, offset, type, values[i]!, `--args ${given}`);
  }
  return view.buffer;
}

function writeScalar(view: DataView, offset: number, type: Field['type'], value: number, what: string): void {
  if (type === 'f32') {
    view.setFloat32(offset, value, true);
  } else if (type === 'f16') {
    view.setUint16(offset, numberToFloat16(value), true);
  } else {
    const [low, high] = type === 'u32' ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new InputError(`${what}: ${value} is no ${type}`);
    }
    if (type === 'u32') view.setUint32(offset, value, true);
    else view.setInt32(offset, value, true);
  }
}

/** One invocation for each element unless the dispatch says otherwise. */
export function workgroupsOf(file: ShaderFile, options: ShaderRunOptions): readonly [number, number, number] {
  if (options.workgroups) return options.workgroups;
  const [x, y, z] = file.workgroupSize;
  const longest = Math.max(...file.bindings.filter(({ stride }) => stride > 0).map((one) => sizeOf(one, options)), 0);
  return grid(Math.max(longest, 1), x * y * z);
}

function sizeOf({ name }: ShaderBinding, { size, sizes }: ShaderRunOptions): number {
  return sizes[name] ?? size;
}

export async function runShader(gpu: Gpu, file: ShaderFile, options: ShaderRunOptions): Promise<ShaderRun> {
  const uniforms = checkShaderRun(file, options);
  const { maxBindingBytes, maxInvocations, maxWorkgroupsPerDimension } = gpu.capabilities;
  const [x, y, z] = file.workgroupSize;
  if (x * y * z > maxInvocations) {
    throw new InputError(`${file.path}: workgroups of ${x * y * z} invocations; this adapter allows ${maxInvocations}`);
  }
  const workgroups = workgroupsOf(file, options);
  if (workgroups.some((count) => count > maxWorkgroupsPerDimension)) {
    throw new InputError(
      `--workgroups ${workgroups.join()}: this adapter allows ${maxWorkgroupsPerDimension} in a dimension`,
    );
  }
  const arrays = file.bindings.filter(({ stride }) => stride > 0);
  // An integer may be an index: it stays inside of every array.
  const below = Math.max(1, Math.min(...arrays.map((one) => sizeOf(one, options)), 256 ** 3));
  const buffers: GPUBuffer[] = [];
  const create = (bytes: number, label: string, usage?: number): BufferSlice => {
    if (bytes > maxBindingBytes) {
      throw new InputError(`--size: '${label}' would take ${bytes} bytes; this adapter binds ${maxBindingBytes}`);
    }
    const buffer = gpu.buffers.create(bytes, label, usage);
    buffers.push(buffer);
    return { buffer, offset: 0, size: bytes };
  };
  const dispose = () => {
    for (const buffer of buffers) gpu.buffers.destroy(buffer);
  };
  try {
    const count = Math.max(-1, ...file.bindings.map(({ binding }) => binding)) + 1;
    const storage: BufferSlice[] = [];
    const kinds: ('uniform' | 'read' | 'read_write')[] = [];
    let bytes = 0;
    for (let number = 0; number < count; number++) {
      const binding = file.bindings.find((one) => one.binding === number);
      // A number that the entry leaves out gets a placeholder, which the pipeline does not look at.
      kinds.push(binding?.access ?? 'uniform');
      const uniform = uniforms.get(number);
      if (!binding || uniform) {
        const slice = create(uniform?.byteLength ?? 16, binding?.name ?? 'unused', USAGE.UNIFORM | USAGE.COPY_DST);
        if (uniform) gpu.write(slice, uniform);
        storage.push(slice);
        bytes += uniform?.byteLength ?? 0;
        continue;
      }
      const elements = binding.stride > 0 ? sizeOf(binding, options) : 0;
      const size = Math.max(4, Math.ceil((binding.fixedBytes + binding.stride * elements) / 4) * 4);
      const slice = create(size, binding.name);
      gpu.write(slice, generate(binding, elements, size, below));
      storage.push(slice);
      bytes += size;
    }
    const program = { name: file.path, code: file.code, overrides: file.overrides, bindings: kinds, entry: file.entry };
    const work = options.flops === undefined ? {} : { work: { flops: options.flops } };
    const plan = await compilePlan(
      gpu,
      [{ kind: 'dispatch', label: file.entry, program, storage, workgroups, ...work }],
      { label: file.path },
    );
    return {
      plan,
      bytes,
      workgroups,
      dispose() {
        plan.dispose();
        dispose();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Floats uniform in [0, 1), integers in [0, below), the same every time. */
function generate({ fixed, element, fixedBytes, stride }: ShaderBinding, count: number, size: number, below: number) {
  const view = new DataView(new ArrayBuffer(size));
  let state = 1;
  const put = ({ type, offset }: Field, base: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const unit = state / 2 ** 32;
    writeScalar(view, base + offset, type, type === 'f32' || type === 'f16' ? unit : Math.floor(unit * below), '');
  };
  for (const field of fixed) put(field, 0);
  for (let i = 0; i < count; i++) for (const field of element) put(field, fixedBytes + i * stride);
  return view.buffer;
}
