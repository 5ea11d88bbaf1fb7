/** What the page shows of a run. */
import type { CompressEvent, StageResult } from '../../../src/compress/compress.ts';
import { element } from '../../web-common/element.ts';
import { bytesText, percentText } from '../../web-common/text.ts';

const PHASES = { calibrate: 'looking at the data', train: 'training', evaluate: 'measuring' } as const;

export function showProgress(event: CompressEvent): void {
  const { stage, index, stages, phase, step, steps, loss, secondsLeft } = event;
  const name = index < 0 ? 'The original' : `Stage ${index + 1} of ${stages}, ${stage}`;
  element('stage').textContent = `${name}: ${PHASES[phase]}`;
  const bar = element<HTMLProgressElement>('progress');
  bar.max = Math.max(steps, 1);
  bar.value = step;
  if (loss !== undefined) element('loss').textContent = loss.toFixed(4);
  element('left').textContent = secondsLeft === undefined ? '–' : timeText(secondsLeft);
}

function timeText(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function showResult(stages: readonly StageResult[], original: { bytes: number; top1: number }): void {
  const rows = [
    ['original', percentText(original.top1), '', '32', bytesText(original.bytes), '1.0'],
    ...stages.map(({ name, top1, sparsity, bits, bytes }) => [
      name,
      percentText(top1),
      percentText(sparsity),
      bits.toFixed(bits % 1 === 0 ? 0 : 1),
      bytesText(bytes),
      (original.bytes / bytes).toFixed(1),
    ]),
  ];
  element('rows').replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement('tr');
      row.append(
        ...cells.map((text, i) => {
          const cell = document.createElement(i === 0 ? 'th' : 'td');
          if (i === 0) cell.setAttribute('scope', 'row');
          cell.textContent = text;
          return cell;
        }),
      );
      return row;
    }),
  );
}
