import { Presets, SingleBar } from 'cli-progress';
import type { CommonFlags } from './flags.ts';
import { formatPercent, formatSeconds } from './text.ts';

export interface ProgressState {
  /** What is being done: a new label begins a new bar. */
  label: string;
  done: number;
  total: number;
  loss?: number | undefined;
  /** Fraction. */
  top1?: number | undefined;
  /** Estimated from the pace so far where absent. */
  secondsLeft?: number | undefined;
}

export interface Progress {
  update(state: ProgressState): void;
  /** Ends the bar; the next update begins another. */
  stop(): void;
}

const LINE_EVERY_MS = 10_000;

/** On stderr: a bar on a terminal, else a line now and then. */
export function createProgress(flags: CommonFlags, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (flags.quiet) return { update() {}, stop() {} };
  return stream.isTTY ? barProgress(stream) : lineProgress(stream);
}

function barProgress(stream: NodeJS.WriteStream): Progress {
  let bar: SingleBar | undefined;
  let timer = new Timer();
  const stop = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    update(state) {
      if (timer.label !== state.label) {
        stop();
        timer = new Timer(state.label);
      }
      const payload = { label: state.label, details: details(state, timer.secondsLeft(state)) };
      if (!bar) {
        bar = new SingleBar(
          // The cursor stays: a process that is killed could not bring it back.
          { stream, format: '{label} [{bar}] {value}/{total}  {details}', hideCursor: false, barsize: 24 },
          Presets.rect,
        );
        bar.start(state.total, state.done, payload);
      } else {
        bar.setTotal(state.total);
        bar.update(state.done, payload);
      }
    },
    stop() {
      stop();
      timer = new Timer();
    },
  };
}

function lineProgress(stream: NodeJS.WriteStream): Progress {
  let timer = new Timer();
  let printed = 0;
  return {
    update(state) {
      const isNew = timer.label !== state.label;
      if (isNew) timer = new Timer(state.label);
      const isLast = state.done >= state.total;
      if (!isNew && !isLast && performance.now() - printed < LINE_EVERY_MS) return;
      printed = performance.now();
      const text = details(state, timer.secondsLeft(state));
      stream.write(`${state.label}: ${state.done} of ${state.total}${text ? `, ${text}` : ''}\n`);
    },
    stop() {
      timer = new Timer();
    },
  };
}

function details({ loss, top1 }: ProgressState, secondsLeft: number | undefined): string {
  return [
    loss === undefined ? '' : `loss ${loss.toFixed(4)}`,
    top1 === undefined ? '' : `top-1 ${formatPercent(top1)}`,
    secondsLeft === undefined ? '' : `${formatSeconds(secondsLeft)} left`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** Remembers when a label began, and from where (a resumed run begins in the middle). */
class Timer {
  readonly label: string | undefined;
  #start: { time: number; done: number } | undefined;

  constructor(label?: string) {
    this.label = label;
  }

  secondsLeft({ done, total, secondsLeft }: ProgressState): number | undefined {
    if (done >= total) return undefined;
    if (secondsLeft !== undefined) return secondsLeft;
    this.#start ??= { time: performance.now(), done };
    const passed = (performance.now() - this.#start.time) / 1000;
    const progressed = done - this.#start.done;
    return progressed > 0 && passed > 1 ? (passed / progressed) * (total - done) : undefined;
  }
}
