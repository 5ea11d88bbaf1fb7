import type { Gpu } from '../gpu/gpu.ts';
import type { Plan, Work } from '../gpu/plan.ts';
import { replayMeasured } from '../gpu/timing.ts';
import { DirectRecorder } from './direct.ts';
import { copyShader, dotI8Shader, multiplyAddShader } from './generated/probe.ts';
import { spread } from './spread.ts';

/** The best that small probe kernels reach on an adapter: what a kernel's rates are measured against. */
export interface Roof {
  /** f32 multiply-adds, 10⁹ operations per second (two per multiply-add). */
  f32: number;
  /** The same in f16; absent where the adapter has none. */
  f16?: number;
  /** `dot4I8Packed`, 10⁹ operations per second (eight per call); absent where the language has none. */
  int8?: number;
  /** Copying buffers that no cache holds, 10⁹ bytes per second, read and written both counted. */
  bandwidth: number;
}

export interface RoofOptions {
  /** About how long all probes may take, in seconds. */
  seconds?: number;
}

/** Records `rounds` times its unit of work, in dispatches that are long enough to fill the adapter. */
interface Probe {
  record(recorder: DirectRecorder, rounds: number): void;
  /** Operations or bytes of one round. */
  unit: number;
  mostRounds: number;
}

/** A replay that counts takes this long, ms: the round trip to the device must not show. */
const LEAST_MS = 20;
const LEAST_SAMPLES = 2;
const COPY_BYTES = 64 * 2 ** 20;

/** Measures the roof, in about two seconds. Best of several replays: whatever else runs can only slow a probe down. */
export async function measureRoof(gpu: Gpu, { seconds = 2 }: RoofOptions = {}): Promise<Roof> {
  const { f16, packedDot } = gpu.capabilities;
  const probes: [keyof Roof, Probe][] = [4, 8].map((chains) => [
    'f32',
    multiplyAdd(gpu, { S: 'f32', T: 'vec4f' }, chains),
  ]);
  if (f16) for (const chains of [4, 8]) probes.push(['f16', multiplyAdd(gpu, { S: 'f16', T: 'vec4h' }, chains)]);
  if (packedDot) probes.push(['int8', packedProducts(gpu)]);
  probes.push(['bandwidth', copy(gpu)]);
  const roof: Roof = { f32: 0, bandwidth: 0 };
  for (const [name, probe] of probes) {
    const rate = await fastest(gpu, probe, (1000 * seconds) / probes.length);
    roof[name] = Math.max(roof[name] ?? 0, rate);
  }
  return roof;
}

/** The best rate, 10⁹ per second, in about `budget` ms beyond what the driver takes to compile. */
async function fastest(gpu: Gpu, { record, unit, mostRounds }: Probe, budget: number): Promise<number> {
  const recorder = new DirectRecorder(gpu);
  let plan: Plan | undefined;
  try {
    for (let rounds = 1; ; ) {
      plan?.dispose();
      recorder.dispose();
      recorder.clear();
      record(recorder, rounds);
      plan = await recorder.compile('probe');
      await milliseconds(plan); // the driver compiles, the memory is touched
      let time = await milliseconds(plan);
      const deadline = performance.now() + budget;
      // A replay that something held up looks long enough once; the samples after it tell.
      for (let sample = 0; sample < LEAST_SAMPLES || performance.now() + time < deadline; sample++) {
        if (time < LEAST_MS && rounds < mostRounds) break;
        time = Math.min(time, await milliseconds(plan));
      }
      if (time < LEAST_MS && rounds < mostRounds) {
        // By 64 at most: the first, very short replay overstates what a round takes.
        const growth = Math.max(2, Math.min(64, Math.ceil((1.5 * LEAST_MS) / time)));
        rounds = Math.min(mostRounds, rounds * growth);
        continue;
      }
      return (unit * rounds) / time / 1e6;
    }
  } finally {
    plan?.dispose();
    recorder.dispose();
  }
}

async function milliseconds(plan: Plan): Promise<number> {
  const { encode, submit, wait } = await replayMeasured(plan);
  return encode + submit + wait;
}

/** Workgroups of one subgroup on a CPU adapter, where each costs; on a GPU, enough for any number of cores. */
function fill(gpu: Gpu): { WG: number; groups: number } {
  return gpu.capabilities.kind === 'cpu' ? { WG: 8, groups: 64 } : { WG: 64, groups: 8192 };
}

/** Multiply-adds of one round of the shader per register of four: its four steps. */
const STEPS = 4;

function multiplyAdd(gpu: Gpu, types: { S: string; T: string }, chains: number): Probe {
  const { WG, groups } = fill(gpu);
  return {
    record(recorder, rounds) {
      const out = recorder.temporary('f32', 4 * WG * groups);
      recorder.dispatch(multiplyAddShader, {
        operands: { out },
        args: { rounds, x: 0.5, y: 0.25 },
        tunables: { WG, CHAINS: chains, ...types },
        workgroups: [groups, 1, 1],
      });
    },
    unit: WG * groups * STEPS * chains * 4 * 2,
    mostRounds: 2 ** 22,
  };
}

function packedProducts(gpu: Gpu): Probe {
  const { WG, groups } = fill(gpu);
  return {
    record(recorder, rounds) {
      const out = recorder.temporary('i32', WG * groups);
      recorder.dispatch(dotI8Shader, {
        operands: { out },
        args: { rounds, weights: 0x01fe03fd },
        tunables: { WG },
        workgroups: [groups, 1, 1],
      });
    },
    // Four registers of four sums, eight operations for each.
    unit: WG * groups * STEPS * 4 * 4 * 8,
    mostRounds: 2 ** 22,
  };
}

function copy(gpu: Gpu): Probe {
  const bytes = Math.floor(Math.min(COPY_BYTES, gpu.capabilities.maxBindingBytes) / 16) * 16;
  const n = bytes / 16;
  const { wg, span, workgroups } = spread(gpu.capabilities, n);
  return {
    record(recorder, rounds) {
      const x = recorder.temporary('f32', bytes / 4);
      const out = recorder.temporary('f32', bytes / 4);
      for (let round = 0; round < rounds; round++) {
        recorder.dispatch(copyShader, { operands: { x, out }, args: { n, span }, tunables: { WG: wg }, workgroups });
      }
    },
    unit: 2 * bytes,
    mostRounds: 256,
  };
}

/** Time that a roof allows at least, through the time taken: the larger of the compute and the bandwidth share. */
export function fractionOfRoof(roof: Roof, work: Work, bytes: number, microseconds: number): number {
  if (!(microseconds > 0)) return 0;
  // 10⁹ per second are 10³ per µs. Integer work counts against the int8 rate, without one against f32's.
  const compute = ((work.flops ?? 0) / roof.f32 + (work.ops ?? 0) / (roof.int8 ?? roof.f32)) / 1000;
  return Math.max(compute, bytes / roof.bandwidth / 1000) / microseconds;
}
