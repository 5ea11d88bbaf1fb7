/** What `wgslim profile` writes, opened in a real browser: the page's charts and hover values, and the trace. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lenet5 } from '../../examples/lenet/lenet5.ts';
import type { ProfileDocument } from '../../src/cli/profile/document.ts';
import type { Trace } from '../../src/cli/profile/trace.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { wgslim } from '../cli/fixture.ts';
import { noBrowser, openPage } from './chromium.ts';
import { type Site, serve } from './site.ts';

const screenshots = join(fileURLToPath(new URL('../..', import.meta.url)), 'runs/screenshots');
const cache = process.env.XDG_CACHE_HOME;

let folder: string;
let site: Site;
let profiled: ProfileDocument;
beforeAll(async () => {
  if (noBrowser) return;
  folder = await mkdtemp(join(tmpdir(), 'wgslim-profile-page-'));
  // Rates of a machine that is busy with tests must not become those of its user; Mesa's shaders stay where they are.
  process.env.MESA_SHADER_CACHE_DIR ??= cache ?? join(homedir(), '.cache');
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  const model = join(folder, 'lenet.onnx');
  await writeFile(model, exportOnnx(lenet5(1)));
  const [html, trace] = [join(folder, 'page.html'), join(folder, 'trace.json')];
  const args = ['--batch', '4', '--repeat', '3', '--html', html, '--trace', trace, '--json', '--quiet'];
  const { code, stdout, stderr } = await wgslim('profile', model, ...args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  profiled = JSON.parse(stdout);
  const pages = new Map<string, string>([
    ['/index.html', await readFile(html, 'utf8')],
    ['/trace.json', await readFile(trace, 'utf8')],
  ]);
  site = await serve(pages);
  await mkdir(screenshots, { recursive: true });
});
afterAll(async () => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  if (folder) await rm(folder, { recursive: true });
});

describe.skipIf(noBrowser)(`the profile in Chromium${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  it('draws its charts, with a value to hover over on every mark', async () => {
    const { page, errors } = await openPage(site.url, { width: 1000, height: 800 });
    for (const chart of ['Time per layer', 'Roofline plot', 'Memory over the run']) {
      const box = (await page.getByRole('img', { name: chart }).boundingBox())!;
      expect(box.width, chart).toBeGreaterThan(500);
      expect(box.height, chart).toBeGreaterThan(60);
    }
    const marks = await page.locator('.bar, .dot, .area').evaluateAll((found) =>
      found.map((mark) => {
        const { width, height } = mark.getBoundingClientRect();
        // A bar's hover value belongs to its group.
        const title = mark.querySelector('title') ?? mark.parentElement?.querySelector('title');
        return { kind: mark.getAttribute('class'), width, height, hover: title?.textContent ?? '' };
      }),
    );
    const ofKind = (kind: string) => marks.filter((mark) => mark.kind === kind);
    expect(ofKind('bar').length).toBeGreaterThanOrEqual(5);
    expect(ofKind('area')).toHaveLength(profiled.dispatches.length);
    expect(ofKind('dot')).toHaveLength(profiled.dispatches.filter(({ flops }) => flops > 0).length);
    for (const { kind, width, height, hover } of marks) {
      expect(width).toBeGreaterThan(0);
      if (kind !== 'area') expect(height).toBeGreaterThan(0);
      expect(hover).toMatch(kind === 'area' ? /\d+\.\d [kM]B in use/ : /\d ms/);
      expect(hover).not.toMatch(/NaN|undefined/);
    }
    const bar = page.locator('.bar').first();
    const fill = () => bar.evaluate((element) => getComputedStyle(element).fill);
    const before = await fill();
    await bar.hover();
    expect(await fill()).not.toBe(before);
    expect(await page.locator('tbody tr').count()).toBeGreaterThanOrEqual(profiled.kernels.length);
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(screenshots, 'profile.png'), fullPage: true });
    // Nothing is fetched, and nothing sticks out.
    expect(site.requests.filter((path) => path !== '/' && path !== '/favicon.ico')).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1000);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('has a trace whose tracks a page can draw', async () => {
    const { page } = await openPage(site.url);
    // Debian's Chromium is built without chrome://tracing: the page reads the file as a viewer does and draws it.
    const tracks = await page.evaluate(async () => {
      const { traceEvents } = (await (await fetch('trace.json')).json()) as Trace;
      const names = new Map<number, string>();
      for (const { ph, name, tid, args } of traceEvents) {
        if (ph === 'M' && name === 'thread_name') names.set(tid, String(args?.name));
      }
      const end = Math.max(...traceEvents.map(({ ts = 0, dur = 0 }) => ts + dur));
      document.body.replaceChildren();
      return [...names].map(([tid, name]) => {
        const events = traceEvents.filter((event) => event.ph === 'X' && event.tid === tid);
        const lane = document.createElement('div');
        lane.style.cssText = 'position:relative;height:30px;width:900px;margin:8px;background:#eee';
        lane.append(
          ...events.map(({ ts = 0, dur = 0, name: label }) => {
            const span = document.createElement('span');
            span.style.cssText = `position:absolute;top:0;height:30px;left:${(900 * ts) / end}px;width:${(900 * dur) / end}px;background:#3b7dd8;outline:1px solid #fff`;
            span.title = label;
            return span;
          }),
        );
        document.body.append(lane);
        const boxes = [...lane.children].map((span) => span.getBoundingClientRect());
        const isApart = boxes.every((box, i) => i === 0 || box.left >= boxes[i - 1]!.right - 0.5);
        return { name, labels: events.map((event) => event.name), isApart };
      });
    });
    expect(tracks.map(({ name }) => name).sort()).toEqual(['CPU', 'GPU']);
    const [cpu, gpu] = ['CPU', 'GPU'].map((name) => tracks.find((track) => track.name === name)!);
    expect(cpu!.labels).toEqual(['encode', 'submit', 'wait']);
    expect(gpu!.labels).toEqual(profiled.dispatches.map(({ label }) => label));
    for (const { isApart } of tracks) expect(isApart).toBe(true);
    await page.screenshot({ path: join(screenshots, 'trace.png') });
    await page.close();
  });
});
