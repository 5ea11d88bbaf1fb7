import type { Stage } from './recipe.ts';

export interface StageResult {
  name: string;
  kind: Stage['kind'];
  top1: number;
  top5: number;
  loss: number;
  /** Fraction of zeros among the weights of the stage's file. */
  sparsity: number;
  /** Mean bits of a stored weight value. */
  bits: number;
  /** Size of the stage's file. */
  bytes: number;
  seconds: number;
}

export interface CompressResult {
  file: Uint8Array;
  stages: StageResult[];
  bytes: number;
  originalBytes: number;
  ratio: number;
  top1: number;
  originalTop1: number;
}
