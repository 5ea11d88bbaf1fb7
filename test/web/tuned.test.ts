/** Tuning in a real browser: a page measures once, keeps the table in IndexedDB, and its next visits load with it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import type { TunedSource } from '../../src/gpu/capabilities.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { loadModel } from '../../src/runtime/model.ts';
import { testGpu } from '../support/gpu.ts';
import { noBrowser, openPage } from './chromium.ts';
import { bundle, type Site, serve } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const BATCH = 16;
const x = Float32Array.from({ length: BATCH * 784 }, (_, i) => Math.sin(i));

type PageWindow = typeof import('./tunedPage.ts');

const PAGE = `<!doctype html><title>wgslim</title><script type="module">
import * as wgslim from '/wgslim.js';
Object.assign(window, wgslim);
document.title = 'ready';
</script>`;

let site: Site;
let logits: Float32Array;
beforeAll(async () => {
  if (noBrowser) return;
  const file = roundWeights(await readOnnxFile(join(root, 'examples/lenet/lenet5.onnx')), 32, {});
  const { model } = await loadModel(await testGpu(), file, { batch: BATCH });
  logits = (await model.run(new Map([[model.inputs[0]!.name, x]]))).get(model.outputs[0]!.name)!;
  model.dispose();
  site = await serve(
    new Map<string, string | Uint8Array>([
      ['/index.html', PAGE],
      ['/wgslim.js', await bundle(join(root, 'test/web/tunedPage.ts'))],
      ['/lenet.wgslim', file],
    ]),
  );
});

describe.skipIf(noBrowser)(`tuning in Chromium${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  it('serves the next visit', async () => {
    const { page, errors } = await openPage(site.url);
    const ready = () => page.waitForFunction(() => document.title === 'ready');
    /** Loads with what is stored, and counts the choices that come from there. */
    const visit = () =>
      page.evaluate(
        async ({ batch, input }) => {
          const { load, indexedDbTuning, storedChoices } = window as unknown as PageWindow;
          const taken = new Set<string>();
          const stored = storedChoices(indexedDbTuning());
          const tuned: TunedSource = async (capabilities) => {
            const choices = await stored(capabilities);
            return (
              choices && {
                choose<Plan>(kernel: string, adapter: typeof capabilities, shape: object) {
                  const plan = choices.choose<Plan>(kernel, adapter, shape);
                  if (plan !== undefined) taken.add(kernel);
                  return plan;
                },
              }
            );
          };
          const model = await load('/lenet.wgslim', { batch, tuned });
          const outputs = await model.run(new Float32Array(input));
          model.dispose();
          return { logits: [...Object.values(outputs)[0]!], taken: [...taken].sort() };
        },
        { batch: BATCH, input: [...x] },
      );
    await ready();
    const first = await visit();
    expect(first.taken).toEqual([]);
    const measured = await page.evaluate(async (batch) => {
      const { Gpu, ChoiceListener, adapterKey, indexedDbTuning, load, mergeInto, tableOf, tune } =
        window as unknown as PageWindow;
      const gpu = await Gpu.open(navigator.gpu);
      const listener = new ChoiceListener();
      (await load('/lenet.wgslim', { batch, device: gpu.device, tuned: () => listener })).dispose();
      const report = await tune(gpu, listener.asked, { seconds: 20, rounds: 3 });
      const table = tableOf(report.results);
      await mergeInto(indexedDbTuning(), adapterKey(gpu.capabilities), table);
      gpu.destroy();
      return { kernels: [...new Set([...table.keys()].map((key) => key.split(' ')[0]!))].sort(), ...report };
    }, BATCH);
    expect(measured.kernels).toEqual(expect.arrayContaining(['conv', 'product']));
    await page.reload();
    await ready();
    const second = await visit();
    expect(second.taken).toEqual(measured.kernels);
    const most = logits.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    for (const { logits: seen } of [first, second]) {
      expect(seen).toHaveLength(logits.length);
      for (const [i, value] of seen.entries()) expect(Math.abs(value - logits[i]!)).toBeLessThan(1e-3 * most);
    }
    expect(errors).toEqual([]);
    await page.close();
  });
});
