import type { Opened } from '../adapters.ts';
import type { Contender } from '../contender.ts';
import type { Case } from '../suite.ts';
import type { KernelCase } from './case.ts';
import { convolutions } from './conv.ts';
import { layers } from './layers.ts';
import { products } from './matmul.ts';

/** Single kernels: inputs lie on the GPU, the whole result is read back. */
export function kernelCases(): Case[] {
  return [...products, ...convolutions, ...layers].map(kernelCase);
}

/** A kernel as a case of a suite. */
export function kernelCase(one: KernelCase): Case {
  return {
    name: one.name,
    ...(one.operations && { operations: one.operations }),
    ours: ({ gpu }: Opened) => one.ours(gpu),
    peers: (opened: Opened) => peersOf(one, opened),
  };
}

function peersOf(one: KernelCase, { peers: { tfjs, onnxruntime, jax, torch } }: Opened): (() => Promise<Contender>)[] {
  const makers: (() => Promise<Contender>)[] = [];
  if (tfjs && one.tfjs) makers.push(async () => one.tfjs!(tfjs));
  if (onnxruntime && one.onnxruntime) makers.push(() => one.onnxruntime!(onnxruntime));
  if (jax && one.jax) makers.push(async () => one.jax!(jax));
  if (torch && one.torch) makers.push(async () => one.torch!(torch));
  return makers;
}
