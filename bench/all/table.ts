/** All suites in one short table. */
import { renderTable } from '../../src/cli/table.ts';
import type { Comparison } from '../measure.ts';
import { OURS } from '../ours.ts';
import type { PackedReport, PackedRow } from '../packed/report.ts';
import { TORCH } from '../peers/torch.ts';
import { milliseconds, percent, type Report, rateOf, ratio } from '../report.ts';
import { spreadOf } from '../statistics.ts';
import type { CaseResult } from '../suite.ts';

/** Of the packed formats; all of them are in the JSON, and what `bench:packed` prints. */
export const SHOWN_FORMATS = ['4 bits', 'int8 × int8'];

export function renderAll(reports: readonly (Report | PackedReport)[]): string {
  const rows: string[][] = [];
  for (const report of reports) {
    const lines =
      report.suite === 'packed'
        ? report.rows.filter(({ format }) => SHOWN_FORMATS.includes(format)).map(packedLine)
        : report.cases.map(caseLine);
    if (lines.length > 0) rows.push([report.suite, ...new Array(7).fill('')], ...lines);
  }
  const right = 'right' as const;
  return renderTable(
    [
      { title: 'case' },
      { title: `${OURS} ms`, align: right },
      { title: 'GFLOP/s', align: right },
      { title: 'of roof', align: right },
      { title: 'best WebGPU peer' },
      { title: `÷ ${OURS}`, align: right },
      { title: `${TORCH} ms`, align: right },
      { title: `÷ ${OURS}`, align: right },
    ],
    rows,
  );
}

function caseLine(one: CaseResult): string[] {
  const best = bestPeer(one.comparisons);
  const torch = one.comparisons.find(({ peer }) => peer === TORCH);
  const ours = ownTime(one);
  return [
    `  ${one.name}`,
    ours === undefined ? '' : milliseconds(ours),
    ours === undefined ? '' : rateOf(one, ours),
    one.gpu ? percent(one.gpu.ofRoof) : '',
    best?.peer ?? '',
    best ? ratio(best.ratio.median) : '',
    torch ? (torch.agrees ? milliseconds(torch.theirs.median) : 'differs') : '',
    torch?.agrees ? ratio(torch.ratio.median) : '',
  ];
}

/** The middle of what it took beside each peer: one that keeps the machine busy in its pauses slows wgslim down too. */
function ownTime({ comparisons, alone }: CaseResult): number | undefined {
  const times = comparisons.filter(({ agrees }) => agrees).map(({ ours }) => ours.median);
  return times.length > 0 ? spreadOf(times).median : alone?.median;
}

/** The fastest library on the same adapter whose result agrees. */
function bestPeer(comparisons: readonly Comparison[]): Comparison | undefined {
  const isLibrary = ({ peer }: Comparison) => peer !== TORCH && !peer.startsWith(OURS);
  return comparisons
    .filter((one) => one.agrees && isLibrary(one))
    .sort((a, b) => a.ratio.median - b.ratio.median)
    .at(0);
}

/** No other library has these layers: wgslim's own in float32 stands in the peer's place. */
function packedLine(row: PackedRow): string[] {
  return [
    `  ${row.layer}: ${row.format}`,
    milliseconds(row.packed.median),
    rateOf(row, row.packed.median),
    row.gpu ? percent(row.gpu.ofRoof) : '',
    `(${OURS} float32)`,
    ratio(row.ratio.median),
    '',
    '',
  ];
}

/** What has to be known to read the table. */
export function renderAbout(reports: readonly (Report | PackedReport)[], missing: readonly string[]): string {
  const versions = new Map(reports.flatMap((one) => ('versions' in one ? Object.entries(one.versions) : [])));
  const [{ adapter, roof }] = reports;
  const loads = reports.flatMap(({ load }) => load);
  return [
    `${adapter.name} (${adapter.driver}); load ${Math.min(...loads).toFixed(1)}–${Math.max(...loads).toFixed(1)}`,
    `roof: ${roof.f32.toFixed(0)} GFLOP/s float32, ${roof.bandwidth.toFixed(0)} GB/s, measured`,
    ...[...versions].map(([name, version]) => `${name}: ${version}`),
    ...missing,
    'Medians; results are read back (packed: time on the GPU). Rates and fractions of the roof are of the time on the GPU,',
    `÷ ${OURS} is of pairs of samples taken in turns: above 1 ${OURS} is the faster.`,
  ].join('\n');
}
