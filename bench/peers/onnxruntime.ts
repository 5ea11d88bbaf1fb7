import { readFile } from 'node:fs/promises';
import type { Attribute, Graph, Tensor } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import type { Contender } from '../contender.ts';

/** The little of onnxruntime-web that is used here. */
interface OrtTensor {
  readonly data: Float32Array;
  dispose(): void;
}

export interface OrtSession {
  readonly inputNames: readonly string[];
  run(inputs: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

export interface Ort {
  env: {
    readonly versions: { readonly web?: string };
    wasm: { numThreads: number; wasmBinary?: Uint8Array };
    webgpu: { readonly device: Promise<GPUDevice> };
    logLevel: string;
  };
  Tensor: {
    new (type: 'float32', data: Float32Array, shape: readonly number[]): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: { dataType: 'float32'; dims: readonly number[] }): OrtTensor;
  };
  InferenceSession: {
    create(model: Uint8Array, options: { executionProviders: string[]; logSeverityLevel: number }): Promise<OrtSession>;
  };
}

export const ORT = 'onnxruntime-web';

/** Loads it and opens its device, which it does with its first session. */
export async function openOrt(): Promise<Ort> {
  const name = 'onnxruntime-web/webgpu';
  const ort = (await import(name)) as Ort;
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await readFile(
    new URL('../node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm', import.meta.url),
  );
  const nothing = singleNode('Relu', { inputs: [{ name: 'x', shape: [1] }], output: [1] });
  await (await createSession(ort, exportOnnx(nothing))).release();
  return ort;
}

export function createSession(ort: Ort, model: Uint8Array): Promise<OrtSession> {
  return ort.InferenceSession.create(model, { executionProviders: ['webgpu'], logSeverityLevel: 3 });
}

/** A graph of one operator; initializers come after the inputs. */
export function singleNode(
  op: string,
  {
    inputs,
    initializers = [],
    output,
    attributes = {},
  }: {
    inputs: readonly { name: string; shape: readonly number[] }[];
    initializers?: readonly { name: string; tensor: Tensor }[];
    output: readonly number[];
    attributes?: Record<string, Attribute>;
  },
): Graph {
  return {
    name: op,
    inputs: inputs.map(({ name, shape }) => ({ name, dtype: 'float32', shape: [...shape] })),
    outputs: [{ name: 'out', dtype: 'float32', shape: [...output] }],
    nodes: [
      {
        name: op,
        op,
        inputs: [...inputs, ...initializers].map(({ name }) => name),
        outputs: ['out'],
        attributes,
      },
    ],
    initializers: new Map(initializers.map(({ name, tensor }) => [name, tensor])),
  };
}

/** One operator over an input that stays on the GPU; its weights are initializers. */
export async function ortContender(ort: Ort, graph: Graph, data: Float32Array<ArrayBuffer>): Promise<Contender> {
  const session = await createSession(ort, exportOnnx(graph));
  const device = await ort.env.webgpu.device;
  const STORAGE_AND_COPIES = 128 | 8 | 4;
  const buffer = device.createBuffer({ size: Math.ceil(data.byteLength / 16) * 16, usage: STORAGE_AND_COPIES });
  device.queue.writeBuffer(buffer, 0, data);
  const [{ name, shape }] = graph.inputs;
  const input = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape as number[] });
  return {
    name: ORT,
    async run() {
      const { out } = await session.run({ [name]: input });
      return out.data;
    },
    dispose() {
      void session.release();
      buffer.destroy();
    },
  };
}
