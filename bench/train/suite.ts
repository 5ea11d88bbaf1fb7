import type { Case } from '../suite.ts';
import { trainJax } from './jax.ts';
import { problems } from './networks.ts';
import { trainOurs } from './ours.ts';
import { trainTfjs } from './tfjs.ts';
import { trainTorch } from './torch.ts';

/** Training steps: forward, backward, and SGD with momentum. */
export function trainCases(): Case[] {
  return problems.map((problem) => ({
    name: `${problem.graph.name} b${problem.batch}`,
    ours: ({ gpu }) => trainOurs(gpu, problem),
    peers: ({ peers: { tfjs, jax, torch } }) => [
      ...(tfjs ? [async () => trainTfjs(tfjs, problem)] : []),
      ...(jax ? [async () => trainJax(jax, problem)] : []),
      ...(torch ? [async () => trainTorch(torch, problem)] : []),
    ],
  }));
}
