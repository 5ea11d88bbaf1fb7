/** Where tables are kept between runs: one for each adapter and driver. */
import type { Capabilities } from '../../gpu/capabilities.ts';

export interface TuningStore {
  /** Undefined where there is none. */
  read(adapter: string): Promise<Map<string, string> | undefined>;
  write(adapter: string, table: ReadonlyMap<string, string>): Promise<void>;
}

/** Raised where variants change their meaning, so that older tables are not read. */
const VERSION = 1;

/** Names an adapter with its driver; what was measured on one says nothing of another. */
export function adapterKey(
  { kind, name, vendor, architecture, driver, subgroupSize, f16, matrices }: Capabilities,
  processor = '',
): string {
  const features = [subgroupSize ?? 0, f16, processor, ...(matrices ? ['subgroup-matrix'] : [])];
  return JSON.stringify([VERSION, kind, name, vendor, architecture, driver, ...features]);
}

/** Entries out of JSON that somebody else may have written: none but texts by texts, of reasonable length. */
export function readEntries(value: unknown): Map<string, string> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => entry[0].length < 200 && typeof entry[1] === 'string' && entry[1].length < 40,
  );
  return new Map(entries);
}

/** Older entries with the newer ones over them. */
export async function mergeInto(
  store: TuningStore,
  adapter: string,
  table: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const merged = new Map([...((await store.read(adapter)) ?? []), ...table]);
  await store.write(adapter, merged);
  return merged;
}
