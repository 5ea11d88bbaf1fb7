/** What the page shows of an answer. */
import { element } from '../../web-common/element.ts';
import { percentText } from '../../web-common/text.ts';

export interface Ranked {
  name: string;
  probability: number;
}

/** Probabilities of the classes; networks end in logits. */
export function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** All classes in their order where they are ten or fewer, else the five most probable. */
export function shown(probabilities: readonly number[], names: readonly string[]): Ranked[] {
  const all = probabilities.map((probability, i) => ({ name: names[i] ?? String(i), probability }));
  if (all.length <= 10) return all;
  return all.sort((a, b) => b.probability - a.probability).slice(0, 5);
}

export function showAnswer(ranked: readonly Ranked[]): void {
  const best = ranked.reduce((most, one) => (one.probability > most.probability ? one : most));
  const share = document.createElement('small');
  share.textContent = ` ${percentText(best.probability)}`;
  element('answer').replaceChildren(best.name, share);
  element('bars').replaceChildren(...ranked.map(bar));
}

function bar({ name, probability }: Ranked): HTMLLIElement {
  const row = document.createElement('li');
  const label = document.createElement('span');
  label.className = 'name';
  label.textContent = name;
  label.title = name;
  const track = document.createElement('span');
  track.className = 'bar';
  const fill = document.createElement('span');
  fill.style.width = `${100 * probability}%`;
  track.append(fill);
  const value = document.createElement('span');
  value.className = 'value';
  value.textContent = percentText(probability);
  row.append(label, track, value);
  return row;
}

export function clearAnswer(): void {
  element('answer').textContent = '–';
  element('bars').replaceChildren();
  element('time').textContent = '–';
}
