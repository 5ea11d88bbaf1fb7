/** The browser of the tests. */
import type { Browser, Page } from 'playwright-core';
import { afterAll } from 'vitest';
import { launchChromium } from '../../scripts/chromium.ts';

export { noBrowser } from '../../scripts/chromium.ts';

let launched: Promise<Browser> | undefined;

/** One browser per test file. */
export function browser(): Promise<Browser> {
  if (!launched) {
    launched = launchChromium();
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
