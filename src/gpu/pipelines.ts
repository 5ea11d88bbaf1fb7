import { GpuError } from './errors.ts';
import { type Program, programKey } from './program.ts';

/** A compiled program and the layout that its bind groups are made with. */
export interface CompiledProgram {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/**
 * Compiles each program once per device. Requests for a program that is still compiling share its promise, so that a
 * plan asks for all its pipelines at once and the driver compiles them in parallel.
 */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<string, Promise<CompiledProgram>>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get size(): number {
    return this.#compiled.size;
  }

  compile(program: Program): Promise<CompiledProgram> {
    const key = programKey(program);
    let compiled = this.#compiled.get(key);
    if (!compiled) {
      compiled = this.#create(program);
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  async #create(program: Program): Promise<CompiledProgram> {
    let module = this.#modules.get(program.code);
    if (!module) {
      // The pipeline's promise tells of an error; uncaptured, it would also fail whatever the device does next.
      this.#device.pushErrorScope('validation');
      module = this.#device.createShaderModule({ code: program.code, label: program.name });
      this.#device.popErrorScope().catch(() => {}); // a lost device reports itself
      this.#modules.set(program.code, module);
    }
    const layout = this.#layout(program);
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        label: program.name,
        layout: this.#device.createPipelineLayout({
          bindGroupLayouts: [layout],
          ...(program.immediateBytes && { immediateSize: program.immediateBytes }),
        }),
        compute: { module, entryPoint: program.entry ?? 'main', constants: program.overrides },
      });
      return { pipeline, layout };
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const details = messages.map((message) => `${message.lineNum}:${message.linePos} ${message.message}`).join('; ');
      throw new GpuError(`Shader ${program.name} does not compile: ${details || (error as Error).message}`);
    }
  }

  #layout(program: Program): GPUBindGroupLayout {
    const key = program.bindings.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        entries: program.bindings.flatMap((kind, binding): GPUBindGroupLayoutEntry[] => {
          if (kind === 'immediate') return [];
          const type = kind === 'uniform' ? 'uniform' : kind === 'read' ? 'read-only-storage' : 'storage';
          return [{ binding, visibility: 4, buffer: { type } }]; // GPUShaderStage.COMPUTE
        }),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
