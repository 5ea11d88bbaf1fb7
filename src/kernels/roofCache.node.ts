/** Node only: the roof of an adapter, measured once and kept in the user's cache folder. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { Capabilities } from '../gpu/capabilities.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { cacheFolder } from '../gpu/swiftshader.node.ts';
import { measureRoof, type Roof, type RoofOptions } from './roof.ts';

/** Raised where a probe changes, so that older figures are measured anew. */
const VERSION = 1;

export interface CachedRoof {
  roof: Roof;
  /** Whether it was measured before. */
  isCached: boolean;
  file: string;
}

/** @param options.fresh measures again, and keeps the new figures */
export async function cachedRoof(gpu: Gpu, options: RoofOptions & { fresh?: boolean } = {}): Promise<CachedRoof> {
  const file = roofFile(gpu.capabilities);
  const known = options.fresh ? undefined : readRoof(file, gpu.capabilities);
  if (known) return { roof: known, isCached: true, file };
  const roof = await measureRoof(gpu, options);
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}.tmp`;
    writeFileSync(temporary, `${JSON.stringify(roof, null, 2)}\n`);
    renameSync(temporary, file);
  } catch {
    // A cache folder that cannot be written costs two seconds next time, nothing else.
  }
  return { roof, isCached: false, file };
}

/** One file per adapter and driver, and for a software adapter per processor. */
export function roofFile(capabilities: Capabilities): string {
  const { kind, name, vendor, architecture, driver } = capabilities;
  const processor = kind === 'cpu' ? `${cpus()[0]?.model} x ${cpus().length}` : '';
  const key = JSON.stringify([VERSION, name, vendor, architecture, driver, processor]);
  return join(cacheFolder(), `roof-${createHash('sha256').update(key).digest('hex').slice(0, 16)}.json`);
}

/** Undefined where there is none, or none that was measured on such a device. */
export function readRoof(file: string, { f16, packedDot }: Capabilities): Roof | undefined {
  let found: Partial<Record<keyof Roof, unknown>> | null;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
  const rate = (name: keyof Roof) => {
    const value = found?.[name];
    return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
  };
  const [f32, half, int8, bandwidth] = [rate('f32'), rate('f16'), rate('int8'), rate('bandwidth')];
  if (f32 === undefined || bandwidth === undefined) return undefined;
  if ((f16 && half === undefined) || (packedDot && int8 === undefined)) return undefined;
  return { f32, bandwidth, ...(f16 && { f16: half }), ...(packedDot && { int8 }) } as Roof;
}
