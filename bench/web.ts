/**
 * The runtime in Chromium: what a page downloads, how long a network takes to load and to answer for the first time,
 * cold (a browser that has just started) and warm (the next load in the same page).
 *
 * Usage: npm run bench:web -- [--rounds N] [--json] [--save]
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { roundWeights } from '../examples/web-classify/roundWeights.ts';
import { bundleWith, readBudget } from '../scripts/bundleSizes.ts';
import { launchChromium } from '../scripts/chromium.ts';
import { serveStatic } from '../scripts/serveStatic.ts';
import { readOnnxFile } from '../src/onnx/node.ts';
import type { Model } from '../src/web.ts';
import { slug } from './slug.ts';
import { type Spread, spreadOf } from './statistics.ts';

const here = dirname(fileURLToPath(import.meta.url));
const models = join(process.env.WGSLIM_DATA ?? join(here, '../../shared/data'), 'models');

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, json: { type: 'boolean' }, save: { type: 'boolean' } },
});

interface Times {
  /** From the call of `load` to its promise: fetched, checked, on the GPU, compiled. ms */
  load: number;
  /** The first `run` of one sample, read back. ms */
  first: number;
  /** Median of ten later ones. ms */
  later: number;
}

interface Page {
  load(url: string): Promise<Model>;
}

/** Runs in the page. */
async function measure(url: string): Promise<{ cold: Times; warm: Times; adapter: string; memory: object }> {
  const { load } = window as unknown as Page;
  const once = async () => {
    const started = performance.now();
    const model = await load(url);
    const loaded = performance.now();
    const { shape } = model.inputs[0] as { shape: readonly number[] };
    const x = new Float32Array(shape.slice(1).reduce((a, b) => a * b, 1)).fill(0.5);
    await model.run(x);
    const first = performance.now() - loaded;
    const later: number[] = [];
    for (let i = 0; i < 10; i++) {
      const at = performance.now();
      await model.run(x);
      later.push(performance.now() - at);
    }
    const memory = model.memory();
    later.sort((a, b) => a - b);
    return { times: { load: loaded - started, first, later: later[5] as number }, memory, model };
  };
  const cold = await once();
  // A second model on the same device finds its pipelines compiled.
  const warm = await once();
  const info = warm.model.device?.adapterInfo;
  const adapter = info?.description || info?.device || info?.architecture || 'unknown';
  cold.model.dispose();
  warm.model.dispose();
  return { cold: cold.times, warm: warm.times, adapter, memory: cold.memory };
}

const files = new Map<string, Uint8Array>();
const lenet = await readOnnxFile(join(here, '../examples/lenet/lenet5.onnx'));
for (const bits of [32, 8, 4]) files.set(`LeNet-5, ${bits} bits`, roundWeights(lenet, bits, {}));
const resnetPath = join(models, 'resnet20-cifar10.onnx');
if (existsSync(resnetPath)) {
  const resnet = await readOnnxFile(resnetPath);
  for (const bits of [32, 8, 4]) files.set(`ResNet-20, ${bits} bits`, roundWeights(resnet, bits, {}));
} else console.error(`ResNet-20 is left out: ${resnetPath} is not there`);

const everything = readBudget().everything?.parts ?? [];
const script = (await bundleWith(everything)).text;
const page =
  '<!doctype html><script type="module">import * as w from "/w.js"; Object.assign(window, w); document.title = "ready";</script>';
const served = new Map<string, string | Uint8Array>([
  ['/index.html', page],
  ['/w.js', script],
]);
for (const [i, bytes] of [...files.values()].entries()) served.set(`/${i}.wgslim`, bytes);
const { url, close } = await serveStatic(served);

type Sample = Awaited<ReturnType<typeof measure>>;
const samples = new Map<string, Sample[]>();
let browserVersion = '';
for (let round = 0; round < Number(flags.rounds); round++) {
  for (const [i, name] of [...files.keys()].entries()) {
    const browser = await launchChromium();
    browserVersion = browser.version();
    const tab = await browser.newPage();
    // What tsx leaves in functions that it keeps the names of.
    await tab.addInitScript('globalThis.__name = (value) => value');
    await tab.goto(url);
    await tab.waitForFunction(() => document.title === 'ready');
    const sample = await tab.evaluate(measure, `/${i}.wgslim`);
    samples.set(name, [...(samples.get(name) ?? []), sample]);
    await browser.close();
  }
}
await close();

const spread = (list: readonly Sample[], of: (sample: Sample) => number): Spread => spreadOf(list.map(of));
const cases = [...samples].map(([name, list]) => ({
  name,
  fileBytes: files.get(name)?.length,
  memory: list[0]?.memory,
  cold: { load: spread(list, (s) => s.cold.load), first: spread(list, (s) => s.cold.first) },
  warm: { load: spread(list, (s) => s.warm.load), first: spread(list, (s) => s.warm.first) },
  later: spread(list, (s) => s.warm.later),
}));
const bundles = [];
for (const [network, { parts }] of Object.entries(readBudget())) {
  const { bytes, gzip } = await bundleWith(parts);
  bundles.push({ network, parts, minified: bytes, gzip });
}
const adapter = [...samples.values()][0]?.[0]?.adapter ?? 'unknown';
const result = {
  suite: 'web',
  adapter,
  browser: browserVersion,
  rounds: Number(flags.rounds),
  cores: cpus().length,
  load: loadavg().slice(0, 2),
  bundles,
  cases,
};

if (flags.json) console.log(JSON.stringify(result, null, 2));
else {
  console.log(`Chromium ${browserVersion}, ${adapter}, medians of ${flags.rounds} browsers, ms\n`);
  console.log('network               file kB  load cold  first  load warm  first  later');
  for (const { name, fileBytes = 0, cold, warm, later } of cases) {
    const cell = ({ median }: Spread, width: number) => median.toFixed(1).padStart(width);
    console.log(
      `${name.padEnd(20)} ${(fileBytes / 1000).toFixed(1).padStart(8)} ${cell(cold.load, 10)} ${cell(cold.first, 6)} ${cell(warm.load, 10)} ${cell(warm.first, 6)} ${cell(later, 6)}`,
    );
  }
  console.log('\ncode for                         gzip kB');
  for (const { network, gzip } of bundles) console.log(`${network.padEnd(32)} ${(gzip / 1000).toFixed(1).padStart(7)}`);
}
if (flags.save)
  await writeFile(join(here, 'results', `${slug(adapter)}-web.json`), `${JSON.stringify(result, null, 2)}\n`);
