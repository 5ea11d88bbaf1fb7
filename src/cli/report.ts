import type { CompressResult } from '../compress/compress.ts';
import { renderTable } from './table.ts';
import { formatBytes, formatCount, formatPercent, formatPoints, formatSeconds } from './text.ts';

/** What a compression did, stage by stage, and which stage cost how much accuracy. */
export function compressionReport(out: string, result: CompressResult, adapter: string): string {
  const { stages, originalBytes, originalTop1, bytes, ratio, top1 } = result;
  const right = 'right' as const;
  const columns = [
    { title: 'stage' },
    { title: 'accuracy', align: right },
    { title: 'points', align: right },
    { title: 'loss', align: right },
    { title: 'sparsity', align: right },
    { title: 'bits', align: right },
    { title: 'bytes on disk', align: right },
    { title: 'ratio', align: right },
    { title: 'time', align: right },
  ];
  const rows = [
    ['original', formatPercent(originalTop1), '', '', '', '32', formatCount(originalBytes), '1.0', ''],
    ...stages.map((stage, index) => [
      stage.name,
      formatPercent(stage.top1),
      formatPoints(stage.top1 - (stages[index - 1]?.top1 ?? originalTop1)),
      stage.loss.toFixed(4),
      formatPercent(stage.sparsity, 1),
      formatBits(stage.bits),
      formatCount(stage.bytes),
      (originalBytes / stage.bytes).toFixed(1),
      formatSeconds(stage.seconds),
    ]),
  ];
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const change = top1 - originalTop1;
  return [
    renderTable(columns, rows),
    '',
    `${out}: ${formatBytes(bytes)}, ${ratio.toFixed(1)} times smaller than ${formatBytes(originalBytes)} of float32 weights, ` +
      `${formatPoints(change)} points of accuracy, in ${formatSeconds(seconds)} on ${adapter}.`,
  ].join('\n');
}

/** A mean over layers of several widths has a fraction. */
function formatBits(bits: number): string {
  return Number.isInteger(bits) ? String(bits) : bits.toFixed(1);
}
