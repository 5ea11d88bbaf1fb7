/** A real browser for tests and benchmarks: Debian's Chromium, headless, WebGPU on its software adapter. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.WGSLIM_CHROMIUM ?? PLACES.find(existsSync);

/** Why there is no browser here; undefined where there is one. */
export const noBrowser = executablePath
  ? undefined
  : 'no Chromium is installed (Debian: apt install chromium; elsewhere: WGSLIM_CHROMIUM=PATH)';

/** @throws Error where there is none */
export function launchChromium(): Promise<Browser> {
  if (!executablePath) throw new Error(`There is no browser: ${noBrowser}`);
  return chromium.launch({ executablePath, args: ['--enable-unsafe-webgpu'] });
}
