import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { slug } from './slug.ts';

/** Keeps a suite's report in `results/`; returns the file's name. */
export function saveReport(report: { suite: string; adapter: { name: string } }, ending = 'json'): string {
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`${slug(report.adapter.name)}-${report.suite}.${ending}`, folder);
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  return fileURLToPath(file);
}
