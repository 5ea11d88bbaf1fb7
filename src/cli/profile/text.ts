/** A profile as people read it on a terminal. */

import { renderPairs, renderTable } from '../table.ts';
import { formatBytes, formatPercent, formatPrecision } from '../text.ts';
import type { Advice } from './advice.ts';
import { addedByTimestamps, type Figures, type PackedWeight, type ProfileDocument, subjectTitle } from './document.ts';

export function describeProfile(document: ProfileDocument, { layers }: { layers: boolean }): string {
  const rows: [string, Figures][] = layers
    ? [...document.dispatches].sort((a, b) => (b.ms ?? 0) - (a.ms ?? 0)).map((row) => [row.label, row])
    : document.kernels.map((row) => [row.kernel, row]);
  const hasOps = rows.some(([, { ops }]) => ops > 0);
  const hasClamping = document.robustness !== undefined;
  const table = renderTable(
    [
      { title: layers ? 'dispatch' : 'kernel' },
      ...[
        'time',
        'share',
        'calls',
        'GFLOP/s',
        ...(hasOps ? ['GOP/s'] : []),
        'GB/s',
        'of roof',
        ...(hasClamping ? ['clamps'] : []),
      ].map((title) => ({
        title,
        align: 'right' as const,
      })),
    ],
    rows.map(([name, figures]) => [
      name,
      figures.ms === null ? '-' : milliseconds(figures.ms),
      percent(figures.share),
      String(figures.calls),
      figures.flops > 0 ? rate(figures.gflops) : '-',
      ...(hasOps ? [figures.ops > 0 ? rate(figures.gops) : '-'] : []),
      rate(figures.gbps),
      percent(figures.ofRoof),
      ...(hasClamping ? [signed(figures.clamping ?? 0)] : []),
    ]),
  );
  const { roof, cpu, memory } = document;
  return [
    table,
    '',
    renderPairs([
      [document.mode === 'shader' ? 'shader' : 'model', subjectTitle(document)],
      ['GPU time', gpuTime(document)],
      ['wall time', `${milliseconds(document.wallMs)} a run, runs queued one after the other without timestamps`],
      ['one run', `${milliseconds(document.singleWallMs)}: ${parts(cpu)}`],
      ['profiling', overhead(document)],
      ...(document.robustness ? [['clamps', clamps(document.robustness)] as [string, string]] : []),
      [
        'memory',
        document.mode === 'shader'
          ? `${formatBytes(memory.planned)} bound`
          : `${formatBytes(memory.planned)} of temporaries (${formatBytes(memory.unshared)} if none shared its place)`,
      ],
      [
        'roof',
        [
          `${rate(roof.f32)} GFLOP/s f32`,
          ...(roof.f16 === undefined ? [] : [`${rate(roof.f16)} GFLOP/s f16`]),
          ...(roof.int8 === undefined ? [] : [`${rate(roof.int8)} GOP/s int8`]),
          `${rate(roof.bandwidth)} GB/s, measured`,
        ].join(', ') + beyond(document),
      ],
      ...(document.precision ? [['precision', formatPrecision(document.precision)] as [string, string]] : []),
      ['adapter', document.adapter.name],
    ]),
    ...(document.weights && layers ? ['', weightsText(document.weights)] : []),
    ...(document.advice ? ['', adviceText(document.advice)] : []),
  ].join('\n');
}

function weightsText(weights: readonly PackedWeight[]): string {
  const columns = [
    { title: 'weights' },
    { title: 'run as' },
    { title: 'bytes', align: 'right' as const },
    { title: 'because' },
  ];
  const rows = weights.map(({ name, form, reason, bytes }) => [name, form, bytes > 0 ? String(bytes) : '', reason]);
  return renderTable(columns, rows);
}

function adviceText(advice: readonly Advice[]): string {
  if (advice.length === 0) return 'Advice: none; neither the text nor the dispatch gives a reason.';
  const lines = advice.map(({ kernel, about, line, text }) => {
    return `- ${kernel}${line === undefined ? '' : `:${line}`} (${about}): ${text}`;
  });
  return ['Advice, from the text and the dispatch:', ...lines].join('\n');
}

function clamps({ clampedMs, freeMs, cost }: NonNullable<ProfileDocument['robustness']>): string {
  return `${milliseconds(clampedMs)} of GPU time with bounds clamps, ${milliseconds(freeMs)} without (${signed(cost)}); browsers always clamp`;
}

function signed(fraction: number): string {
  return `${fraction < 0 ? '−' : '+'}${formatPercent(Math.abs(fraction), 1)}`;
}

/** What it means where a dispatch is faster than the probes: figures that cannot both be right should not pass unsaid. */
function beyond({ dispatches }: ProfileDocument): string {
  const count = dispatches.filter(({ ofRoof }) => (ofRoof ?? 0) > 1.05).length;
  if (count === 0) return '';
  return `; ${count} of the dispatches beat it: their data lie in a cache, or the probes ran on a busy machine (--fresh-roof)`;
}

function gpuTime({ gpuMs, gpuShare, dispatches, repeats, note }: ProfileDocument): string {
  if (gpuMs === null || gpuShare === null) return note ?? 'not measured';
  return `${milliseconds(gpuMs)}, the sum of ${dispatches.length} dispatches (medians of ${repeats} runs); dispatches took ${formatPercent(gpuShare, 1)} of the wall time of those runs`;
}

function overhead({ timedWallMs, singleWallMs, overhead }: ProfileDocument): string {
  if (timedWallMs === null || overhead === null) return 'no timestamps, no overhead';
  const times = `one run with timestamps takes ${milliseconds(timedWallMs)}, without ${milliseconds(singleWallMs)}`;
  return `${times}: they add ${addedByTimestamps(overhead)}`;
}

function parts({ encode, submit, wait }: ProfileDocument['cpu']): string {
  return `encode ${milliseconds(encode)}, submit ${milliseconds(submit)}, wait ${milliseconds(wait)}`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 3 : 2)} ms`;
}

function rate(value: number | null): string {
  return value === null ? '-' : value.toFixed(value < 1 ? 2 : value < 100 ? 1 : 0);
}

function percent(fraction: number | null): string {
  return fraction === null ? '-' : formatPercent(fraction, 1);
}
