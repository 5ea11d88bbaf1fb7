import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress } from '../../src/cli/progress.ts';
import { compressionReport } from '../../src/cli/report.ts';
import { renderPairs, renderTable } from '../../src/cli/table.ts';
import { formatBytes, formatPercent, formatPoints, formatSeconds, oneLine } from '../../src/cli/text.ts';

describe('numbers for people', () => {
  it.each([
    [formatBytes(999), '999 B'],
    [formatBytes(12_345), '12.3 kB'],
    [formatBytes(1_084_392), '1.08 MB'],
    [formatPercent(0.9173), '91.73 %'],
    [formatPoints(-0.00512), '-0.51'],
    [formatPoints(0.0003), '+0.03'],
    [formatPoints(-0.00001), '0.00'],
    [formatSeconds(3.21), '3.2 s'],
    [formatSeconds(59.4), '59 s'],
    [formatSeconds(125.2), '2 min 5 s'],
    [formatSeconds(3599.7), '1 h 0 min'],
    [oneLine('a\n  b\n'), 'a b'],
  ])('%s', (shown, expected) => expect(shown).toBe(expected));
});

describe('tables', () => {
  it('keep columns apart and numbers on the right', () => {
    const table = renderTable(
      [{ title: 'layer' }, { title: 'bytes', align: 'right' }],
      [
        ['conv1', '12'],
        ['a longer name', '3,456'],
      ],
    );
    expect(table.split('\n')).toEqual([
      'layer          bytes',
      '-------------  -----',
      'conv1             12',
      'a longer name  3,456',
    ]);
    expect(
      renderPairs([
        ['a', '1'],
        ['long', '2'],
      ]),
    ).toBe('a     1\nlong  2');
  });

  it('report what each stage cost', () => {
    const stage = { kind: 'prune' as const, top5: 1, loss: 0.5, seconds: 60 };
    const report = compressionReport(
      'small.wgslim',
      {
        file: new Uint8Array(100),
        stages: [
          { ...stage, name: 'prune', top1: 0.9, sparsity: 0.9, bits: 32, bytes: 250 },
          { ...stage, name: 'quantize', top1: 0.895, sparsity: 0.9, bits: 4.25, bytes: 100 },
        ],
        bytes: 100,
        originalBytes: 1000,
        ratio: 10,
        top1: 0.895,
        originalTop1: 0.91,
      },
      'adapter',
    );
    const rows = report.split('\n').map((line) => line.split(/ {2,}/).filter(Boolean));
    expect(rows[2]).toEqual(['original', '91.00 %', '32', '1,000', '1.0']);
    expect(rows[3]).toEqual(['prune', '90.00 %', '-1.00', '0.5000', '90.0 %', '32', '250', '4.0', '1 min 0 s']);
    expect(rows[4]).toEqual(['quantize', '89.50 %', '-0.50', '0.5000', '90.0 %', '4.3', '100', '10.0', '1 min 0 s']);
    expect(report.split('\n').at(-1)).toContain('10.0 times smaller than 1.0 kB of float32 weights, -1.50 points');
  });
});

describe('progress', () => {
  const stream = (isTTY: boolean) => {
    const through = Object.assign(new PassThrough(), {
      isTTY,
      columns: 100,
      cursorTo() {},
      clearLine() {},
      moveCursor() {},
    });
    let text = '';
    through.on('data', (data) => {
      text += data;
    });
    return { target: through as unknown as NodeJS.WriteStream, read: () => text };
  };

  it('is plain lines where there is no terminal: the first, the last, and a few between', () => {
    const { target, read } = stream(false);
    const progress = createProgress({}, target);
    for (let done = 1; done <= 100; done++) progress.update({ label: 'train', done, total: 100, loss: 1 / done });
    progress.update({ label: 'evaluate', done: 5, total: 5, top1: 0.5 });
    progress.stop();
    expect(read()).toBe(
      'train: 1 of 100, loss 1.0000\ntrain: 100 of 100, loss 0.0100\nevaluate: 5 of 5, top-1 50.00 %\n',
    );
  });

  it('is a bar with loss and time left on a terminal', () => {
    const { target, read } = stream(true);
    const progress = createProgress({}, target);
    progress.update({ label: 'train', done: 10, total: 100, loss: 0.25, secondsLeft: 90 });
    progress.stop();
    expect(read()).toContain('train [');
    expect(read()).toContain('10/100  loss 0.2500, 1 min 30 s left');
  });

  it('is nothing where it is not wanted', () => {
    const { target, read } = stream(true);
    const progress = createProgress({ quiet: true }, target);
    progress.update({ label: 'train', done: 1, total: 2 });
    progress.stop();
    expect(read()).toBe('');
  });
});
