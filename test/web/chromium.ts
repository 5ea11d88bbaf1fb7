/** A real browser for the tests: Debian's Chromium, headless, WebGPU on its software adapter. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.WGSLIM_CHROMIUM ?? PLACES.find(existsSync);

/** Why tests in a browser cannot run here, for `describe.skipIf` and its name; undefined where they can. */
export const noBrowser = executablePath
  ? undefined
  : 'no Chromium is installed (Debian: apt install chromium; elsewhere: WGSLIM_CHROMIUM=PATH)';

let launched: Promise<Browser> | undefined;

/** One browser per test file. */
export function browser(): Promise<Browser> {
  if (!launched) {
    launched = chromium.launch({ executablePath: executablePath as string, args: ['--enable-unsafe-webgpu'] });
    afterAll(async () => {
      await (await launched)?.close();
      launched = undefined;
    });
  }
  return launched;
}

/** What went wrong in a page, gathered for `expect(errors).toEqual([])`. */
export interface OpenedPage {
  page: Page;
  errors: string[];
}

export async function openPage(url: string, viewport = { width: 1024, height: 768 }): Promise<OpenedPage> {
  const page = await (await browser()).newPage({ viewport });
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  return { page, errors };
}
