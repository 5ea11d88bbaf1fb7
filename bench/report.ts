import { renderTable } from '../src/cli/table.ts';
import type { Roof } from '../src/kernels/roof.ts';
import type { Spread } from './statistics.ts';
import type { CaseResult, SuiteName } from './suite.ts';

/** What was measured, on what, as the JSON file holds it. */
export interface Report {
  suite: SuiteName;
  adapter: { name: string; driver: string; kind: 'gpu' | 'cpu'; source: string };
  versions: Record<string, string>;
  /** Load average of the last minute, before and after: with a busy machine only the ratios say something. */
  load: [number, number];
  cores: number;
  /** The best that small probe kernels reach on the adapter. */
  roof: Roof;
  cases: CaseResult[];
}

export const milliseconds = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
export const ratio = (value: number) => (value >= 10 ? value.toFixed(1) : value.toFixed(2));
const spread = ({ min, median, max }: Spread) => `${ratio(median)} (${ratio(min)}–${ratio(max)})`;

export const percent = (fraction: number) => `${(100 * fraction).toFixed(fraction < 0.1 ? 1 : 0)} %`;

/** 10⁹ operations per second: while the GPU computes, or, where that time is not known, of the whole run. */
export function rateOf({ operations, gpu }: Pick<CaseResult, 'operations' | 'gpu'>, wall: number): string {
  const count = operations ?? gpu?.operations;
  return count ? (count / (gpu?.milliseconds ?? wall) / 1e6).toFixed(1) : '';
}

/** One line per case and peer. */
export function renderReport({ cases }: Pick<Report, 'cases'>): string {
  const isTraining = cases.some(({ gpu }) => gpu?.notKernels !== undefined);
  const rows: string[][] = [];
  for (const one of cases) {
    const { name, comparisons, alone, gpu } = one;
    const times = (wall: number) => [
      name,
      milliseconds(wall),
      gpu ? milliseconds(gpu.milliseconds) : '',
      rateOf(one, wall),
      gpu ? percent(gpu.ofRoof) : '',
      ...(isTraining ? [gpu?.notKernels === undefined ? '' : percent(gpu.notKernels)] : []),
    ];
    if (alone) rows.push([...times(alone.median), '', '', '', '']);
    for (const { peer, ours, theirs, ratio: ratios, error, agrees } of comparisons) {
      rows.push(
        agrees
          ? [...times(ours.median), peer, milliseconds(theirs.median), spread(ratios), error.toExponential(0)]
          : [name, '', '', '', '', ...(isTraining ? [''] : []), peer, '', 'results differ', error.toExponential(0)],
      );
    }
  }
  return renderTable(
    [
      { title: 'case' },
      { title: 'wgslim ms', align: 'right' },
      { title: 'GPU ms', align: 'right' },
      { title: 'GFLOP/s', align: 'right' },
      { title: 'of roof', align: 'right' },
      ...(isTraining ? [{ title: 'not kernels', align: 'right' } as const] : []),
      { title: 'peer' },
      { title: 'peer ms', align: 'right' },
      { title: 'peer ÷ wgslim (min–max)', align: 'right' },
      { title: 'difference', align: 'right' },
    ],
    rows,
  );
}

/** What has to be known to read the table. */
export function renderHeader({ suite, adapter, versions, load, cores, roof }: Omit<Report, 'cases'>): string {
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${suite} on ${adapter.name} (${adapter.driver})`,
    `peers: ${peers.join(', ') || 'none'}; ${cores} cores, load ${load[0].toFixed(1)}`,
    renderRoof(roof),
    NOTES[suite],
    'Medians of samples taken in turns; the ratio is taken pair by pair, and above 1 wgslim is the faster.',
  ].join('\n');
}

export function renderRoof({ f32, bandwidth }: Roof): string {
  return `roof: ${f32.toFixed(0)} GFLOP/s float32, ${bandwidth.toFixed(0)} GB/s, measured; rates and fractions of it are of the time on the GPU`;
}

const ONE_KERNEL = 'One run is one computation with its inputs on the GPU, and the whole result read back.';
const NOTES: Record<SuiteName, string> = {
  kernels: ONE_KERNEL,
  products: ONE_KERNEL,
  train:
    'One run is a training step: time of a block of steps that ends with the loss read back, by the steps. wgslim uploads its batch in every step; for the peers it stays on the GPU.',
  inference: 'One run uploads the input, computes, and reads the output back, for all of them.',
};
