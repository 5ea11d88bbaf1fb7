import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Contender } from '../contender.ts';
import type { Jax } from '../peers/jax.ts';
import type { Ort } from '../peers/onnxruntime.ts';
import type { Tf } from '../peers/tfjs.ts';
import type { Torch } from '../peers/torch.ts';

/** One computation that wgslim and its peers all do; a peer that cannot do it is left out. */
export interface KernelCase {
  name: string;
  /** Multiplications and additions; undefined where the memory is the limit. */
  operations?: number;
  ours(gpu: Gpu): Promise<Contender>;
  tfjs?(tf: Tf): Contender;
  onnxruntime?(ort: Ort): Promise<Contender>;
  jax?(jax: Jax): Contender;
  torch?(torch: Torch): Contender;
}
