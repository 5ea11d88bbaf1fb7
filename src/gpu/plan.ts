import type { BufferSlice } from './buffers.ts';
import { USAGE } from './buffers.ts';
import { LimitError } from './errors.ts';
import type { Gpu } from './gpu.ts';
import type { CompiledProgram } from './pipelines.ts';
import type { Program } from './program.ts';

/** Arithmetic of a dispatch as its kernel declares it; a multiply-add counts as two. */
export interface Work {
  /** Floating-point operations. */
  readonly flops?: number;
  /** Integer operations. */
  readonly ops?: number;
}

export interface DispatchCommand {
  readonly kind: 'dispatch';
  readonly label: string;
  readonly program: Program;
  /** For profiles; absent where the kernel does next to no arithmetic. */
  readonly work?: Work | undefined;
  /** By binding number, the uniform (binding 0, where the program has one) left out. */
  readonly storage: readonly BufferSlice[];
  /** Bytes for the plan's argument arena, or a uniform buffer that the caller rewrites between replays. */
  readonly args?: ArrayBuffer | BufferSlice;
  readonly workgroups: readonly [number, number, number];
}

export interface CopyCommand {
  readonly kind: 'copy';
  readonly label: string;
  readonly from: BufferSlice;
  readonly to: BufferSlice;
}

export interface ClearCommand {
  readonly kind: 'clear';
  readonly label: string;
  readonly target: BufferSlice;
}

export type Command = DispatchCommand | CopyCommand | ClearCommand;

export interface PlanOptions {
  label: string;
  /**
   * Dispatches per command buffer. A browser that must stay responsive takes a few dozen; unlimited by default, which
   * costs the least.
   */
  dispatchesPerSubmit?: number;
  /** Awaited between pieces of the compilation, each a small part of a frame, so that a page can draw in between. */
  pause?: () => Promise<void>;
}

/** What a plan knows about one of its dispatches, beside how to run it. */
export interface DispatchInfo {
  readonly label: string;
  readonly program: string;
  readonly work: Work;
  /** What it binds. */
  readonly storage: readonly BufferSlice[];
  readonly workgroups: readonly [number, number, number];
  /** The program itself, for those who read its code. */
  readonly source: Program;
}

export interface RecordedDispatch extends DispatchInfo {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  immediates: Uint8Array<ArrayBuffer> | undefined;
}

/** Dispatches that share a pass, or what stands between passes. */
export type Step = { dispatches: RecordedDispatch[] } | { copy: CopyCommand } | { clear: ClearCommand };

/**
 * A recorded list of dispatches and copies that is replayed as few command buffers. Everything that costs is done once,
 * by `compilePlan`: pipelines, bind groups, arguments. A replay encodes and submits, nothing else.
 */
export class Plan {
  readonly label: string;
  readonly gpu: Gpu;
  readonly steps: readonly Step[];
  readonly #arena: GPUBuffer | undefined;
  readonly #dispatchesPerSubmit: number;
  /** The next replay's. Of the second, which may never come, not yet encoded. */
  #ahead: Iterable<GPUCommandBuffer> | undefined;

  constructor(gpu: Gpu, options: PlanOptions, steps: readonly Step[], arena: GPUBuffer | undefined) {
    this.gpu = gpu;
    this.label = options.label;
    this.steps = steps;
    this.#arena = arena;
    this.#dispatchesPerSubmit = options.dispatchesPerSubmit ?? Number.POSITIVE_INFINITY;
  }

  get dispatchCount(): number {
    return this.steps.reduce((sum, step) => sum + ('dispatches' in step ? step.dispatches.length : 0), 0);
  }

  /** In the order in which they run. */
  get dispatches(): DispatchInfo[] {
    return this.steps.flatMap((step) => ('dispatches' in step ? step.dispatches : []));
  }

  /**
   * Queues the whole plan once. Returns at once; work runs in the order of the calls. From the second call on, the commands
   * of the next are encoded while the GPU works at these, so that one who waits for each replay waits less.
   */
  replay(): void {
    this.gpu.throwIfLost();
    const ahead = this.#ahead;
    for (const buffer of ahead ?? this.encode()) this.gpu.device.queue.submit([buffer]);
    this.#ahead = ahead ? [...this.encode()] : this.encode();
  }

  /** As `replay`, but waits for the GPU between command buffers, so that a page can draw in between. */
  async replayYielding(): Promise<void> {
    for (const buffer of this.encode()) {
      this.gpu.device.queue.submit([buffer]);
      await this.gpu.idle();
    }
  }

  /** The command buffers of a replay, to be submitted once and in this order; each is encoded when it is asked for. */
  *encode(): Generator<GPUCommandBuffer> {
    this.gpu.throwIfLost();
    const { device } = this.gpu;
    let encoder = device.createCommandEncoder({ label: this.label });
    let pass: GPUComputePassEncoder | undefined;
    let used = 0;
    for (const step of this.steps) {
      if ('dispatches' in step) {
        for (const dispatch of step.dispatches) {
          if (used >= this.#dispatchesPerSubmit) {
            pass?.end();
            pass = undefined;
            yield encoder.finish();
            encoder = device.createCommandEncoder({ label: this.label });
            used = 0;
          }
          pass ??= encoder.beginComputePass({ label: this.label });
          encodeDispatch(pass, dispatch);
          used++;
        }
      } else {
        pass?.end();
        pass = undefined;
        encodeTransfer(encoder, step);
      }
    }
    pass?.end();
    yield encoder.finish();
  }

  /** Frees the argument arena; the buffers that the commands name belong to whoever made them. */
  dispose(): void {
    this.#ahead = undefined;
    if (this.#arena) this.gpu.buffers.destroy(this.#arena);
  }
}

export function encodeDispatch(pass: GPUComputePassEncoder, dispatch: RecordedDispatch): void {
  pass.setPipeline(dispatch.pipeline);
  pass.setBindGroup(0, dispatch.group);
  if (dispatch.immediates) pass.setImmediates(0, dispatch.immediates);
  pass.dispatchWorkgroups(...dispatch.workgroups);
}

export function encodeTransfer(
  encoder: GPUCommandEncoder,
  step: { copy: CopyCommand } | { clear: ClearCommand },
): void {
  if ('copy' in step) {
    const { from, to } = step.copy;
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, Math.min(from.size, to.size));
  } else {
    const { target } = step.clear;
    encoder.clearBuffer(target.buffer, target.offset, target.size);
  }
}

/** Compiles the pipelines of all commands in parallel, fills the argument arena and makes the bind groups. */
export async function compilePlan(gpu: Gpu, commands: readonly Command[], options: PlanOptions): Promise<Plan> {
  gpu.throwIfLost();
  const alignment = gpu.capabilities.uniformAlignment;
  const offsets = new Map<DispatchCommand, number>();
  let arenaBytes = 0;
  for (const command of commands) {
    if (command.kind !== 'dispatch') continue;
    checkDispatch(gpu, command);
    if (command.args instanceof ArrayBuffer && !command.program.immediateBytes) {
      offsets.set(command, arenaBytes);
      arenaBytes += Math.ceil(command.args.byteLength / alignment) * alignment;
    }
  }
  const { pause } = options;
  const compiling: (Promise<CompiledProgram> | undefined)[] = [];
  for (const command of commands) {
    const program = command.kind === 'dispatch' ? gpu.pipelines.compile(command.program) : undefined;
    program?.catch(() => {}); // heard of below, which a pause may put off
    compiling.push(program);
    await pause?.();
  }
  const compiled = await Promise.all(compiling);
  let arena: GPUBuffer | undefined;
  if (arenaBytes > 0) {
    arena = gpu.buffers.create(arenaBytes, `${options.label}: arguments`, USAGE.UNIFORM | USAGE.COPY_DST);
    const bytes = new Uint8Array(arenaBytes);
    for (const [command, offset] of offsets) bytes.set(new Uint8Array(command.args as ArrayBuffer), offset);
    gpu.device.queue.writeBuffer(arena, 0, bytes);
  }
  const steps: Step[] = [];
  for (const [index, command] of commands.entries()) {
    if (command.kind === 'copy') steps.push({ copy: command });
    else if (command.kind === 'clear') steps.push({ clear: command });
    else if (command.workgroups.every((count) => count > 0)) {
      const recorded = record(gpu, command, compiled[index] as CompiledProgram, arena, offsets.get(command));
      const last = steps.at(-1);
      if (last && 'dispatches' in last) last.dispatches.push(recorded);
      else steps.push({ dispatches: [recorded] });
      await pause?.();
    }
  }
  await gpu.buffers.settle();
  return new Plan(gpu, options, steps, arena);
}

function record(
  gpu: Gpu,
  command: DispatchCommand,
  compiled: CompiledProgram,
  arena: GPUBuffer | undefined,
  offset: number | undefined,
): RecordedDispatch {
  const resources: (BufferSlice | undefined)[] = [...command.storage];
  const immediates = command.program.immediateBytes ? new Uint8Array(command.args as ArrayBuffer) : undefined;
  if (immediates) resources.unshift(undefined);
  else if (command.args instanceof ArrayBuffer) {
    resources.unshift({ buffer: arena as GPUBuffer, offset: offset as number, size: command.args.byteLength });
  } else if (command.args) {
    resources.unshift(command.args);
  }
  return {
    label: command.label,
    program: command.program.name,
    source: command.program,
    work: command.work ?? {},
    storage: command.storage,
    pipeline: compiled.pipeline,
    group: gpu.device.createBindGroup({
      label: command.label,
      layout: compiled.layout,
      entries: resources.flatMap((resource, binding) => (resource ? [{ binding, resource }] : [])),
    }),
    immediates,
    workgroups: command.workgroups,
  };
}

function checkDispatch(gpu: Gpu, command: DispatchCommand): void {
  const { maxBindingBytes, maxWorkgroupsPerDimension, storageAlignment } = gpu.capabilities;
  for (const slice of command.storage) {
    if (slice.size > maxBindingBytes) {
      throw new LimitError(
        `${command.label} binds ${slice.size} bytes, more than this adapter allows (maxStorageBufferBindingSize ${maxBindingBytes}); use a smaller batch`,
      );
    }
    if (slice.offset % storageAlignment !== 0) {
      throw new LimitError(
        `${command.label} binds at offset ${slice.offset}, which is no multiple of ${storageAlignment}`,
      );
    }
  }
  for (const count of command.workgroups) {
    if (count > maxWorkgroupsPerDimension) {
      throw new LimitError(
        `${command.label} needs ${count} workgroups in one dimension, more than ${maxWorkgroupsPerDimension}`,
      );
    }
  }
}
