/** The Chrome trace event format, which Perfetto and chrome://tracing open. */
import type { Profile } from '../../gpu/profile.ts';

/** See "Trace Event Format" (Google, 2016): `X` is a complete event, `M` metadata; times in µs. */
export interface TraceEvent {
  name: string;
  ph: 'X' | 'M';
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  cat?: string;
  args?: Record<string, string | number>;
}

export interface Trace {
  displayTimeUnit: 'ms';
  traceEvents: TraceEvent[];
  otherData: Record<string, string>;
}

const PROCESS = 1;
const CPU = 1;
const GPU = 2;

/**
 * One replay: the CPU's encode, submit and wait, and the dispatches by their timestamps. The two clocks have no common
 * origin, so the first dispatch is put at the end of the submit; distances on one track are measured.
 */
export function profileTrace(title: string, profile: Profile): Trace {
  const { trace } = profile;
  const { encode, submit, wait } = trace?.cpu ?? profile.cpu;
  const traceEvents: TraceEvent[] = [
    { name: 'process_name', ph: 'M', pid: PROCESS, tid: 0, args: { name: title } },
    { name: 'thread_name', ph: 'M', pid: PROCESS, tid: CPU, args: { name: 'CPU' } },
    { name: 'thread_name', ph: 'M', pid: PROCESS, tid: GPU, args: { name: 'GPU' } },
  ];
  let at = 0;
  for (const [name, ms] of Object.entries({ encode, submit, wait })) {
    traceEvents.push({ name, ph: 'X', cat: 'cpu', pid: PROCESS, tid: CPU, ts: at, dur: 1000 * ms });
    at += 1000 * ms;
  }
  const start = 1000 * (encode + submit);
  trace?.timings.forEach(({ label, program, begin, microseconds }, i) => {
    const { bytes, work } = profile.dispatches[i]!;
    traceEvents.push({
      name: label,
      ph: 'X',
      cat: program,
      pid: PROCESS,
      tid: GPU,
      ts: start + begin,
      dur: microseconds,
      args: { kernel: program, flops: work.flops ?? 0, ops: work.ops ?? 0, bytes },
    });
  });
  return {
    displayTimeUnit: 'ms',
    traceEvents,
    otherData: {
      clocks:
        'The first dispatch is drawn at the end of the submit; the GPU’s clock has no common origin with the CPU’s.',
      ...(profile.reason && { note: profile.reason }),
    },
  };
}
