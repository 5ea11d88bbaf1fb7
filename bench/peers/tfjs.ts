import type { Contender } from '../contender.ts';

/** The little of TensorFlow.js that is used here, so that this compiles where it is not installed. */
export interface TfTensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

export interface TfVariable extends TfTensor {
  assign(value: TfTensor): void;
}

export interface TfOptimizer {
  minimize(loss: () => TfTensor, returnCost: boolean, variables: TfVariable[]): TfTensor | null;
  dispose(): void;
}

export interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  engine(): {
    runKernel(name: string, inputs: Record<string, TfTensor>, attributes?: Record<string, unknown>): TfTensor;
  };
  tidy<T>(work: () => T): T;
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  variable(value: TfTensor, trainable?: boolean): TfVariable;
  add(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  relu(x: TfTensor): TfTensor;
  softmax(x: TfTensor, axis?: number): TfTensor;
  mean(x: TfTensor, axes: number[]): TfTensor;
  grad(work: (x: TfTensor) => TfTensor): (x: TfTensor, dy: TfTensor) => TfTensor;
  moments(x: TfTensor, axes: number[]): { mean: TfTensor; variance: TfTensor };
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  stridedSlice(x: TfTensor, begin: number[], end: number[], strides: number[]): TfTensor;
  pad(x: TfTensor, paddings: [number, number][]): TfTensor;
  batchNorm(
    x: TfTensor,
    mean: TfTensor,
    variance: TfTensor,
    offset: TfTensor,
    scale: TfTensor,
    epsilon: number,
  ): TfTensor;
  conv2d(x: TfTensor, filter: TfTensor, strides: number, pad: number | 'same' | 'valid'): TfTensor;
  depthwiseConv2d(x: TfTensor, filter: TfTensor, strides: number, pad: number | 'same' | 'valid'): TfTensor;
  maxPool(x: TfTensor, size: number, strides: number, pad: number | 'same' | 'valid'): TfTensor;
  losses: { softmaxCrossEntropy(oneHot: TfTensor, logits: TfTensor): TfTensor };
  train: {
    momentum(rate: number, momentum: number): TfOptimizer;
  };
}

export const TFJS = 'TensorFlow.js';

export async function openTfjs(): Promise<Tf> {
  // Not tfjs-core alone: its entry for Node leaves most gradients out.
  const [core, backend] = ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-webgpu'];
  const loaded = (await import(core)) as Tf & { default?: Tf };
  const tf = loaded.default ?? loaded;
  await import(backend);
  if (!(await tf.setBackend('webgpu'))) throw new Error('its WebGPU backend found no adapter');
  await tf.ready();
  return tf;
}

/** One operation over tensors that stay on the GPU. */
export function tfContender(
  tf: Tf,
  inputs: readonly TfTensor[],
  work: (...inputs: TfTensor[]) => TfTensor,
  arrange?: (result: Float32Array) => Float32Array,
): Contender {
  return {
    name: TFJS,
    async run() {
      const result = tf.tidy(() => work(...inputs));
      const data = await result.data();
      result.dispose();
      return data;
    },
    arrange,
    dispose() {
      for (const input of inputs) input.dispose();
    },
  };
}
