import type { Contender } from '../contender.ts';

/** The little of jax-js that is used here. An array is used up by what takes it; `ref` is one more use of it. */
export interface JaxArray {
  readonly shape: number[];
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(axis?: number | number[]): JaxArray;
  mean(axis?: number | number[]): JaxArray;
  max(axis?: number | number[]): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(order?: number[]): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}

export type JaxTree = JaxArray | { [name: string]: JaxTree } | JaxTree[];

export interface Jax {
  init(device: 'webgpu'): Promise<string[]>;
  defaultDevice(device: 'webgpu'): void;
  jit<A extends JaxTree[], R extends JaxTree>(work: (...inputs: A) => R): ((...inputs: A) => R) & { dispose(): void };
  grad<A extends JaxTree[]>(
    work: (...inputs: A) => JaxArray,
    options?: { argnums: number },
  ): (...inputs: A) => JaxArray;
  valueAndGrad<A extends JaxTree[], X extends JaxTree>(
    work: (...inputs: A) => [JaxArray, X],
    options: { hasAux: true },
  ): (...inputs: A) => [[JaxArray, X], A[0]];
  numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
  };
  lax: {
    convGeneralDilated(
      x: JaxArray,
      weights: JaxArray,
      strides: number[],
      padding: [number, number][],
      options?: { featureGroupCount?: number },
    ): JaxArray;
  };
  nn: {
    relu(x: JaxArray): JaxArray;
    softmax(x: JaxArray, axis?: number): JaxArray;
    logSoftmax(x: JaxArray, axis?: number): JaxArray;
  };
}

export const JAX = 'jax-js';

export async function openJax(): Promise<Jax> {
  const name = '@jax-js/jax';
  const jax = (await import(name)) as Jax;
  if (!(await jax.init('webgpu')).includes('webgpu')) throw new Error('its WebGPU backend found no adapter');
  jax.defaultDevice('webgpu');
  return jax;
}

/** One compiled function over arrays that stay on the GPU. */
export function jaxContender(
  jax: Jax,
  inputs: readonly JaxArray[],
  work: (...inputs: JaxArray[]) => JaxArray,
): Contender {
  const compiled = jax.jit(work);
  return {
    name: JAX,
    run: () => compiled(...inputs.map((input) => input.ref)).data(),
    dispose() {
      compiled.dispose();
      for (const input of inputs) input.dispose();
    },
  };
}

/** The largest of every 2×2 block of x [n, c, h, w]. */
export function jaxMaxPool2x2(x: JaxArray): JaxArray {
  const [n, c, h, w] = x.shape;
  return x.reshape([n, c, h / 2, 2, w / 2, 2]).max([3, 5]);
}

/** Batch normalisation of x [n, c, h, w] by its own statistics; hands those out too. */
export function jaxBatchNorm(
  jax: Jax,
  { x, scale, shift, epsilon }: { x: JaxArray; scale: JaxArray; shift: JaxArray; epsilon: number },
): { y: JaxArray; mean: JaxArray; variance: JaxArray } {
  const perChannel = [1, x.shape[1], 1, 1];
  const mean = x.ref.mean([0, 2, 3]);
  const centred = x.sub(mean.ref.reshape(perChannel));
  const variance = centred.ref.mul(centred.ref).mean([0, 2, 3]);
  const factor = scale.div(jax.numpy.sqrt(variance.ref.add(epsilon)));
  const y = centred.mul(factor.reshape(perChannel)).add(shift.reshape(perChannel));
  return { y, mean, variance };
}
