/** What the tests' pages come from. */
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import { type Site, serveStatic } from '../../scripts/serveStatic.ts';

export type { Site } from '../../scripts/serveStatic.ts';

/** As `serveStatic`; closed after the tests of the file. */
export async function serve(...content: Parameters<typeof serveStatic>): Promise<Site> {
  const site = await serveStatic(...content);
  afterAll(site.close);
  return site;
}

/** A module of `src/` as a page gets it. */
export async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]!.text;
}
