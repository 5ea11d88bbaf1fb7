import { Builder } from '../src/engine/builder.ts';
import { elementsOf, type Value } from '../src/engine/value.ts';
import type { BufferSlice } from '../src/gpu/buffers.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import type { Plan } from '../src/gpu/plan.ts';
import { replayTimed } from '../src/gpu/timing.ts';
import type { Contender } from './contender.ts';

export const OURS = 'wgslim';

/** A tensor on the GPU that is written once, before the measurement. */
export type Upload = (shape: readonly number[], data: Float32Array<ArrayBuffer>) => Value<'f32'>;

/** Some of wgslim's kernels, recorded into a plan; one run replays it and reads the result back, into the same memory. */
export async function recordOurs(
  gpu: Gpu,
  record: (builder: Builder, upload: Upload) => Value<'f32'>,
): Promise<Contender> {
  const builder = new Builder(gpu);
  const upload: Upload = (shape, data) => {
    if (data.length !== elementsOf(shape)) throw new RangeError(`${data.length} numbers for ${shape.join('×')}`);
    const value = builder.own(shape);
    gpu.write(value.storage.slice as BufferSlice, data);
    return value;
  };
  const result = record(builder, upload);
  builder.keep(result);
  const compiled = await builder.compile('bench');
  const numbers = new Float32Array(elementsOf(result.shape));
  return {
    name: OURS,
    run() {
      compiled.plan.replay();
      return gpu.readFloats(compiled.locate(result), numbers);
    },
    profile: () => profilePlan(compiled.plan),
    plan: compiled.plan,
    dispose: () => compiled.dispose(),
  };
}

/** The five slowest dispatches of a plan, in the best of three timed replays. */
export async function profilePlan(plan: Plan): Promise<string | undefined> {
  let best: { label: string; program: string; microseconds: number }[] | undefined;
  const total = (timings: { microseconds: number }[]) => timings.reduce((sum, one) => sum + one.microseconds, 0);
  for (let i = 0; i < 3; i++) {
    const timings = await replayTimed(plan);
    if (!timings) return undefined;
    if (!best || total(timings) < total(best)) best = timings;
  }
  if (!best) return undefined;
  const all = total(best);
  const lines = [...best]
    .sort((a, b) => b.microseconds - a.microseconds)
    .slice(0, 5)
    .map(({ label, program, microseconds }) => {
      const share = ((100 * microseconds) / all).toFixed(0);
      return `    ${(microseconds / 1000).toFixed(3).padStart(9)} ms ${share.padStart(3)} %  ${label} (${program})`;
    });
  return [`    ${(all / 1000).toFixed(3)} ms on the GPU in ${best.length} dispatches`, ...lines].join('\n');
}
