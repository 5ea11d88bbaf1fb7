import type { BufferSlice } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { type Command, compilePlan, type Plan } from '../gpu/plan.ts';
import { encodeCall } from './encode.ts';
import type { KernelCall, Operand, Recorder } from './kernel.ts';
import type { Scalar, Shader } from './shader.ts';

/** An operand with a place in memory. */
export interface BufferOperand<T extends Scalar = Scalar> extends Operand<T> {
  readonly slice: BufferSlice;
}

export const SCALAR_BYTES: Readonly<Record<Scalar, number>> = { f32: 4, u32: 4, i32: 4, f16: 2 };

/**
 * Records kernels over buffers that exist: for people who write shaders, and for tests. The buffers it makes are freed
 * by `dispose`.
 */
export class DirectRecorder implements Recorder {
  readonly #gpu: Gpu;
  readonly #commands: Command[] = [];
  readonly #buffers: GPUBuffer[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  get capabilities() {
    return this.#gpu.capabilities;
  }

  /** Of the buffers it made. */
  get bytes(): number {
    return this.#buffers.reduce((sum, { size }) => sum + size, 0);
  }

  temporary<T extends Scalar>(dtype: T, elements: number, label = 'temporary'): BufferOperand<T> {
    const buffer = this.#gpu.buffers.create(elements * SCALAR_BYTES[dtype], label);
    this.#buffers.push(buffer);
    return { dtype, elements, slice: { buffer, offset: 0, size: buffer.size } };
  }

  /** A buffer filled from the host. */
  upload<T extends Scalar>(
    dtype: T,
    data: Float32Array | Uint32Array | Int32Array | Uint16Array,
    label?: string,
  ): BufferOperand<T> {
    const operand = this.temporary(dtype, data.length, label);
    if (data.length > 0) this.#gpu.write(operand.slice, data as Float32Array<ArrayBuffer>);
    return operand;
  }

  dispatch<S extends Shader>(shader: S, call: KernelCall<S>): void {
    const { program, args, operands } = encodeCall(shader, call, this.capabilities);
    this.#commands.push({
      kind: 'dispatch',
      label: call.label ?? shader.name,
      program,
      args,
      storage: operands.map(({ operand }) => (operand as BufferOperand).slice),
      workgroups: call.workgroups,
      work: call.work,
    });
  }

  compile(label = 'kernels'): Promise<Plan> {
    return compilePlan(this.#gpu, this.#commands, { label });
  }

  /** Compiles, runs once and waits. */
  async run(): Promise<void> {
    const plan = await this.compile();
    plan.replay();
    await this.#gpu.idle();
    plan.dispose();
    this.#commands.length = 0;
  }

  async read(operand: BufferOperand<'f32'>): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array(await this.#gpu.read({ ...operand.slice, size: operand.elements * 4 }));
  }

  async readU32(operand: BufferOperand<'u32'>): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array(await this.#gpu.read({ ...operand.slice, size: operand.elements * 4 }));
  }

  /** Forgets what was recorded; plans compiled from it live on. */
  clear(): void {
    this.#commands.length = 0;
  }

  dispose(): void {
    for (const buffer of this.#buffers) this.#gpu.buffers.destroy(buffer);
    this.#buffers.length = 0;
  }
}
