import type { Roof } from '../src/kernels/roof.ts';
import type { Opened, PeerKey } from './adapters.ts';
import type { Contender } from './contender.ts';
import { type GpuFigures, gpuFigures } from './figures.ts';
import { type Comparison, compare, type MeasureOptions, measureAlone, resultOf } from './measure.ts';
import type { Spread } from './statistics.ts';

/** A case of any suite: how to set up wgslim and the peers that can do the same. */
export interface Case {
  name: string;
  /** Multiplications and additions of one run. */
  operations?: number;
  /** Relative difference of results up to which they are the same computation. Default 1e-3. */
  tolerance?: number;
  ours(opened: Opened): Promise<Contender>;
  peers(opened: Opened): (() => Promise<Contender>)[];
}

export interface CaseResult {
  name: string;
  operations?: number;
  comparisons: Comparison[];
  /** Milliseconds of wgslim where no peer runs. */
  alone?: Spread;
  /** Of wgslim's dispatches, where the adapter has timestamps. */
  gpu?: GpuFigures;
  /** Why wgslim or a peer could not run it. */
  failures: string[];
  /** Slowest dispatches of wgslim. */
  profile?: string;
}

export interface SuiteOptions extends MeasureOptions {
  /** Always, or only where a peer is faster. */
  profile: 'always' | 'slower';
  roof: Roof;
}

export type SuiteName = 'kernels' | 'products' | 'train' | 'inference';

export const PEERS_OF: Record<SuiteName, readonly PeerKey[]> = {
  kernels: ['tfjs', 'onnxruntime', 'jax', 'torch'],
  products: ['tfjs', 'onnxruntime', 'jax', 'torch'],
  train: ['tfjs', 'jax', 'torch'],
  inference: ['tfjs', 'onnxruntime', 'torch'],
};

/** The cases whose name contains a text. */
export function filtered(cases: readonly Case[], text: string): Case[] {
  return cases.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()));
}

/** Runs the cases one after the other; only one case's buffers exist at a time. */
export async function runSuite(
  cases: readonly Case[],
  opened: Opened,
  options: SuiteOptions,
  onResult: (result: CaseResult) => Promise<void> | void,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of cases) {
    const result = await runCase(one, opened, options);
    results.push(result);
    // It has said why in this case; in the others it would only say so again.
    if (opened.peers.torch?.peer.isRunning === false) delete opened.peers.torch;
    await onResult(result);
  }
  return results;
}

async function runCase(one: Case, opened: Opened, options: SuiteOptions): Promise<CaseResult> {
  const result: CaseResult = {
    name: one.name,
    ...(one.operations && { operations: one.operations }),
    comparisons: [],
    failures: [],
  };
  let ours: Contender;
  let expected: Float32Array;
  try {
    ours = await one.ours(opened);
    expected = await resultOf(ours);
  } catch (error) {
    result.failures.push(`wgslim: ${(error as Error).message}`);
    return result;
  }
  try {
    for (const make of one.peers(opened)) {
      let peer: Contender | undefined;
      try {
        peer = await make();
        result.comparisons.push(
          await compare(ours, peer, expected, { ...options, ...(one.tolerance && { tolerance: one.tolerance }) }),
        );
      } catch (error) {
        result.failures.push(`${peer?.name ?? 'a peer'}: ${(error as Error).message.split('\n')[0]}`);
      } finally {
        await peer?.dispose?.();
      }
    }
    if (result.comparisons.length === 0) result.alone = await measureAlone(ours, options);
    if (ours.plan) {
      const { steps, prepare } = ours;
      const figures = await gpuFigures(opened.gpu, ours.plan, options.roof, steps ? { steps, prepare } : undefined);
      if (figures) result.gpu = figures;
    }
    const loses = result.comparisons.some(({ ratio }) => ratio.median < 1);
    if (ours.profile && (options.profile === 'always' || loses)) {
      const profile = await ours.profile();
      if (profile) result.profile = profile;
    }
  } finally {
    await ours.dispose?.();
  }
  return result;
}

/** Whether a result of wgslim is in doubt: a peer's differs, and no other peer's agrees. */
export function inDoubt({ comparisons }: CaseResult): boolean {
  return comparisons.length > 0 && comparisons.every(({ agrees }) => !agrees);
}
