import { renderTable } from '../src/cli/table.ts';
import { ORT } from './peers/onnxruntime.ts';
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
  cases: CaseResult[];
}

const milliseconds = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const ratio = (value: number) => (value >= 10 ? value.toFixed(1) : value.toFixed(2));
const spread = ({ min, median, max }: Spread) => `${ratio(median)} (${ratio(min)}–${ratio(max)})`;

/** One line per case and peer. */
export function renderReport({ cases }: Pick<Report, 'cases'>): string {
  const rows: string[][] = [];
  for (const { name, operations, comparisons, alone } of cases) {
    const rate = (ms: number) => (operations ? (operations / ms / 1e6).toFixed(1) : '');
    if (alone) rows.push([name, milliseconds(alone.median), rate(alone.median), '', '', '', '']);
    for (const { peer, ours, theirs, ratio: times, error, agrees } of comparisons) {
      rows.push(
        agrees
          ? [
              name,
              milliseconds(ours.median),
              rate(ours.median),
              peer,
              milliseconds(theirs.median),
              spread(times),
              error.toExponential(0),
            ]
          : [name, '', '', peer, '', 'results differ', error.toExponential(0)],
      );
    }
  }
  return renderTable(
    [
      { title: 'case' },
      { title: 'wgslim ms', align: 'right' },
      { title: 'GFLOP/s', align: 'right' },
      { title: 'peer' },
      { title: 'peer ms', align: 'right' },
      { title: 'peer ÷ wgslim (min–max)', align: 'right' },
      { title: 'difference', align: 'right' },
    ],
    rows,
  );
}

/** What has to be known to read the table. */
export function renderHeader({ suite, adapter, versions, load, cores }: Omit<Report, 'cases'>): string {
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${suite} on ${adapter.name} (${adapter.driver})`,
    `peers: ${peers.join(', ') || 'none'}; ${cores} cores, load ${load[0].toFixed(1)}`,
    NOTES[suite],
    'Medians of samples taken in turns; the ratio is taken pair by pair, and above 1 wgslim is the faster.',
  ].join('\n');
}

const NOTES: Record<SuiteName, string> = {
  kernels: 'One run is one computation with its inputs on the GPU, and the whole result read back.',
  train:
    'One run is a training step: time of a block of steps that ends with the loss read back, by the steps. wgslim uploads its batch in every step; for the peers it stays on the GPU.',
  inference: `One run uploads the input, computes, and reads the output back, wgslim and ${ORT} alike.`,
};
