/** Node only: tables of measured choices in the user's cache folder. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { Capabilities } from '../gpu/capabilities.ts';
import { cacheFolder } from '../gpu/swiftshader.node.ts';
import { adapterKey, readEntries, type TuningStore } from './tune/store.ts';

/** The key of an adapter's table; a software adapter is as fast as the processor. */
export function nodeAdapterKey(capabilities: Capabilities): string {
  return adapterKey(capabilities, capabilities.kind === 'cpu' ? `${cpus()[0]?.model} x ${cpus().length}` : '');
}

export function tunedFile(adapter: string): string {
  return join(cacheFolder(), `tuned-${createHash('sha256').update(adapter).digest('hex').slice(0, 16)}.json`);
}

/** One file per adapter and driver. A file that cannot be read counts as none. */
export const fileTuning: TuningStore = {
  async read(adapter) {
    return readTuned(adapter);
  },
  async write(adapter, table) {
    const file = tunedFile(adapter);
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}.tmp`;
    const sorted = [...table].sort(([a], [b]) => (a < b ? -1 : 1));
    writeFileSync(temporary, `${JSON.stringify({ adapter, choices: Object.fromEntries(sorted) }, null, 2)}\n`);
    renameSync(temporary, file);
  },
};

/** As `fileTuning.read`, at once. */
export function readTuned(adapter: string): Map<string, string> | undefined {
  try {
    const found = JSON.parse(readFileSync(tunedFile(adapter), 'utf8')) as {
      adapter?: unknown;
      choices?: unknown;
    } | null;
    return found?.adapter === adapter ? readEntries(found.choices) : undefined;
  } catch {
    return undefined;
  }
}
