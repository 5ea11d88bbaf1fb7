import { type Contender, relativeError } from './contender.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** Results that differ by more than this, relative to the largest, are not the same computation. */
export const TOLERANCE = 1e-3;

export interface MeasureOptions {
  /** Pairs of samples per peer at most, and how long they may take together, in seconds (at least 3 are taken). */
  rounds: number;
  seconds: number;
  /** Default `TOLERANCE`. */
  tolerance?: number;
}

/** Milliseconds of one run, and how it compares to its peer. */
export interface Comparison {
  peer: string;
  /** Largest difference of the results, relative to the largest value. */
  error: number;
  agrees: boolean;
  /** Milliseconds of one run in the samples of this pair. */
  ours: Spread;
  theirs: Spread;
  /** Peer's time through ours, pair by pair: above 1, wgslim is faster. */
  ratio: Spread;
  rounds: number;
}

/** A sample is at least this long, in milliseconds, so that the clock and one hiccup weigh little. */
const SAMPLE = 20;
const REPEATS = 50;
const LEAST_ROUNDS = 3;

const nothing: Spread = { min: Number.NaN, median: Number.NaN, max: Number.NaN };
const NOT_MEASURED = { ours: nothing, theirs: nothing, ratio: nothing };

/**
 * Compares wgslim with one peer: its result with the expected one, then times in turns (ours, peer, ours, peer, …), so that whatever else
 * the machine does weighs on both. Runs before the first sample warm up and are not counted.
 */
export async function compare(
  ours: Contender,
  peer: Contender,
  expected: Float32Array,
  options: MeasureOptions,
): Promise<Comparison> {
  const error = relativeError(expected, await resultOf(peer));
  if (error > (options.tolerance ?? TOLERANCE))
    return { peer: peer.name, error, agrees: false, rounds: 0, ...NOT_MEASURED };
  const repeats = { ours: await repeatsFor(ours), theirs: await repeatsFor(peer) };
  const times: { ours: number; theirs: number }[] = [];
  const end = performance.now() + options.seconds * 1000;
  while (times.length < options.rounds && (times.length < LEAST_ROUNDS || performance.now() < end)) {
    times.push({ ours: await sample(ours, repeats.ours), theirs: await sample(peer, repeats.theirs) });
  }
  return {
    peer: peer.name,
    error,
    agrees: true,
    rounds: times.length,
    ours: spreadOf(times.map((time) => time.ours)),
    theirs: spreadOf(times.map((time) => time.theirs)),
    ratio: spreadOf(times.map((time) => time.theirs / time.ours)),
  };
}

/** Milliseconds of one run on its own, without a peer. */
export async function measureAlone(contender: Contender, options: MeasureOptions): Promise<Spread> {
  const repeats = await repeatsFor(contender);
  const times: number[] = [];
  const end = performance.now() + options.seconds * 1000;
  while (times.length < options.rounds && (times.length < LEAST_ROUNDS || performance.now() < end)) {
    times.push(await sample(contender, repeats));
  }
  return spreadOf(times);
}

/** What a contender that was just set up computes, in wgslim's layout. */
export async function resultOf(contender: Contender): Promise<Float32Array> {
  const result = await (contender.check ?? contender.run)();
  // A copy, because a contender may hand out the same memory again.
  return contender.arrange?.(result) ?? result.slice();
}

async function repeatsFor(contender: Contender): Promise<number> {
  const once = (await sample(contender, 1)) * (contender.steps ?? 1);
  return Math.min(REPEATS, Math.max(1, Math.ceil(SAMPLE / once)));
}

async function sample(contender: Contender, repeats: number): Promise<number> {
  if (contender.sample) return (await contender.sample(repeats)) / (contender.steps ?? 1);
  const start = performance.now();
  for (let i = 0; i < repeats; i++) await contender.run();
  return (performance.now() - start) / repeats / (contender.steps ?? 1);
}
