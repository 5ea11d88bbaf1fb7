/**
 * Tuned against untuned: tunes ResNet-20 (inference and a training step), or the inference of another model, on the
 * adapter at hand, and times both forms of each plan in turns, per kernel.
 *
 * Usage: npx tsx bench/tuned.ts [--model FILE] [--seconds N] [--batch N]; WGSLIM_ADAPTER names the adapter.
 */
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openModel } from '../src/cli/model.ts';
import { prepareInference, prepareTraining } from '../src/cli/profile/modelSubject.ts';
import { renderTable } from '../src/cli/table.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import { openGpu } from '../src/gpu/node.ts';
import type { Plan } from '../src/gpu/plan.ts';
import { median, profile } from '../src/gpu/profile.ts';
import { ChoiceListener, tableOf, tune } from '../src/kernels/tune/tune.ts';
import { tunedChoices } from '../src/kernels/tune/variants.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const data = process.env.WGSLIM_DATA ?? join(root, '../shared/data');
const ROUNDS = 5;

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    batch: { type: 'string', default: '32' },
  },
});
const batch = Number(values.batch);
const { gpu } = await openGpu();
const path = values.model ?? join(data, 'models/resnet20-cifar10.onnx');
const model = await openModel(path);
const kinds = [
  ['inference', prepareInference(model, batch)],
  ...(values.model ? [] : [['training step', await prepareTraining(model, {}, batch)] as const]),
] as const;

const listener = new ChoiceListener();
gpu.useTuned(listener);
for (const [, prepare] of kinds) (await prepare(gpu)).dispose();
gpu.useTuned(undefined);
const { results, left } = await tune(gpu, listener.asked, { seconds: Number(values.seconds) });
const choices = tunedChoices(tableOf(results));
const changed = results.filter(({ best, rule }) => best !== undefined && best !== rule);
console.log(`${gpu.capabilities.name}: ${results.length} choices measured, ${left.length} left`);
for (const { key, rule, best } of changed) console.log(`  ${key}: ${best} in place of ${rule}`);

for (const [name, prepare] of kinds) {
  gpu.useTuned(undefined);
  const untuned = await prepare(gpu);
  gpu.useTuned(choices);
  const tuned = await prepare(gpu);
  const rounds: [Map<string, number>, Map<string, number>][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push([await timesOf(gpu, untuned.plan), await timesOf(gpu, tuned.plan)]);
  }
  const kernels = [...new Set(rounds.flatMap(([a, b]) => [...a.keys(), ...b.keys()]))];
  const rows = kernels.map((kernel) => {
    const of = (side: 0 | 1) => median(rounds.map((round) => round[side].get(kernel) ?? 0));
    const ratio = median(rounds.map(([a, b]) => (a.get(kernel) ?? 0) / (b.get(kernel) || Number.NaN)));
    return { kernel, before: of(0), after: of(1), ratio };
  });
  rows.sort((a, b) => b.before - a.before);
  const right = 'right' as const;
  console.log(`\n${basename(path)}, ${name}, batch ${batch}; medians of ${ROUNDS} rounds in turns`);
  console.log(
    renderTable(
      [
        { title: 'kernel' },
        { title: 'untuned ms', align: right },
        { title: 'tuned ms', align: right },
        { title: 'ratio', align: right },
      ],
      rows.map(({ kernel, before, after, ratio }) => [
        kernel,
        (before / 1000).toFixed(3),
        (after / 1000).toFixed(3),
        Number.isNaN(ratio) ? '-' : ratio.toFixed(2),
      ]),
    ),
  );
  untuned.dispose();
  tuned.dispose();
}
gpu.destroy();

/** GPU time per kernel, µs; of the whole plan too. */
async function timesOf(on: Gpu, plan: Plan): Promise<Map<string, number>> {
  const { dispatches } = await profile(on, plan, { warmup: 1, repeats: 3 });
  const times = new Map([['all', 0]]);
  for (const { program, microseconds = 0 } of dispatches) {
    for (const name of ['all', program]) times.set(name, (times.get(name) ?? 0) + microseconds);
  }
  return times;
}
