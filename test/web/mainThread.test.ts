/** How long wgslim/web keeps a page from drawing: the longest task on the main thread, by the time that it computes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { generator } from '../onnx/build.ts';
import { browser, noBrowser, openPage } from './chromium.ts';
import { bundle, type Site, serve } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const models = join(process.env.WGSLIM_DATA ?? join(root, '../shared/data'), 'models');

/** A frame at 60 Hz, ms. */
const FRAME = 1000 / 60;
/** Tasks with the time that the thread computed, and `performance.mark`. */
const CATEGORIES = ['devtools.timeline', 'disabled-by-default-devtools.timeline', 'blink.user_timing'];
/** Fresh pages; the median counts, for a collection of garbage that falls into one of them is nobody's. */
const PAGES = 3;

interface Subject {
  name: string;
  model: string | Graph;
  bits: number;
  shape: number[];
}

/** One dense layer of 2048 × 2048 weights, of which so many are zero. */
function largeLayer(zeros: number): Graph {
  const random = generator(1);
  const weights = Float32Array.from({ length: 2048 * 2048 }, () => (random() < zeros ? 0 : random() - 0.5));
  return {
    name: 'large',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 2048] }],
    outputs: [{ name: 'y', dtype: 'float32' }],
    nodes: [{ name: 'fc', op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: 1 } }],
    initializers: new Map([['w', floatTensor([2048, 2048], weights)]]),
  };
}

const subjects: Subject[] = [
  { name: 'LeNet-5, 4 bits', model: join(root, 'examples/lenet/lenet5.onnx'), bits: 4, shape: [1, 28, 28] },
  { name: 'ResNet-20, 4 bits', model: join(models, 'resnet20-cifar10.onnx'), bits: 4, shape: [3, 32, 32] },
  { name: 'ResNet-56, 8 bits', model: join(models, 'resnet56-cifar10.onnx'), bits: 8, shape: [3, 32, 32] },
  { name: 'SqueezeNet, 8 bits', model: join(models, 'squeezenet1.1-imagenet.onnx'), bits: 8, shape: [3, 227, 227] },
  { name: '4 million weights of 4 bits in a layer', model: largeLayer(0), bits: 4, shape: [2048] },
  { name: '4 million weights in a layer, a tenth not zero', model: largeLayer(0.9), bits: 4, shape: [2048] },
];

const PAGE = `<!doctype html><title>wgslim</title><script type="module">
import { load } from '/wgslim.js';
Object.assign(window, { load });
document.title = 'ready';
</script>`;

const pages = new Map<string, string | Uint8Array>([['/index.html', PAGE]]);
let site: Site;
beforeAll(async () => {
  if (noBrowser) return;
  pages.set('/wgslim.js', await bundle(join(root, 'src/web.ts')));
  site = await serve(pages);
});

/** An event of the browser's trace; times in µs, `tdur` the time that the thread computed. */
interface TraceEvent {
  name: string;
  cat: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  tdur?: number;
}

/** The longest tasks of the page's main thread, ms, by what was going on. */
async function longestTasks(chromium: Browser, samples: number, hasImages: boolean): Promise<Map<string, number>> {
  const { page, errors } = await openPage(site.url);
  await page.waitForFunction(() => document.title === 'ready');
  await chromium.startTracing(page, { categories: CATEGORIES });
  await page.evaluate(
    async ([n, hasImages]) => {
      const { load } = window as unknown as typeof import('../../src/web.ts');
      performance.mark('wgslim: load');
      const model = await load('/model.wgslim');
      performance.mark('wgslim: first run');
      await model.run(new Float32Array(n));
      performance.mark('wgslim: later run');
      await model.run(new Float32Array(n));
      performance.mark('wgslim: another batch size');
      await model.run(new Float32Array(3 * n));
      performance.mark('wgslim: image');
      const canvas = new OffscreenCanvas(40, 40);
      canvas.getContext('2d')!.fillRect(0, 0, 9, 9);
      if (hasImages) await model.run(canvas);
      performance.mark('wgslim: another model');
      const other = await load('/model.wgslim');
      await other.run(new Float32Array(n));
      performance.mark('wgslim: end');
      model.dispose();
      other.dispose();
    },
    [samples, hasImages] as const,
  );
  const { traceEvents } = JSON.parse((await chromium.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  await page.close();
  expect(errors).toEqual([]);
  const marks = traceEvents.filter(({ cat, name }) => cat.includes('user_timing') && name.startsWith('wgslim: '));
  const [first] = marks as [TraceEvent];
  const isOurs = ({ pid, tid, ph, name, ts }: TraceEvent) =>
    pid === first.pid && tid === first.tid && ph === 'X' && name === 'RunTask' && ts > first.ts;
  const longest = new Map<string, number>();
  for (const { ts, dur = 0, tdur = 0 } of traceEvents.filter(isOurs)) {
    const during = marks.filter((mark) => mark.ts <= ts + dur / 2).at(-1)!.name;
    if (during !== 'wgslim: end') longest.set(during, Math.max(longest.get(during) ?? 0, tdur / 1000));
  }
  expect(longest.size).toBeGreaterThanOrEqual(5);
  return longest;
}

describe.skipIf(noBrowser)('the main thread of a page', () => {
  it.for(subjects)('is left alone within a frame: $name', async ({ name, model, bits, shape }, { skip }) => {
    if (typeof model === 'string') skip(!existsSync(model), `${model} is not there (see WGSLIM_DATA)`);
    const graph = typeof model === 'string' ? await readOnnxFile(model) : model;
    pages.set('/model.wgslim', roundWeights(graph, bits, {}));
    const samples = shape.reduce((a, b) => a * b, 1);
    const runs: number[] = [];
    for (let i = 0; i < PAGES; i++) {
      const longest = await longestTasks(await browser(), samples, shape.length === 3);
      const tasks = [...longest].map(([during, ms]) => `${during.replace('wgslim: ', '')} ${ms.toFixed(1)}`);
      console.log(`${name}: longest tasks, ms: ${tasks.join(', ')}`);
      runs.push(Math.max(...longest.values()));
    }
    expect(runs.sort((a, b) => a - b)[Math.floor(PAGES / 2)]).toBeLessThan(FRAME);
  });
});
