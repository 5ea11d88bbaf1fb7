import type { Capabilities, TunedSource } from '../../gpu/capabilities.ts';
import { adapterKey, type TuningStore } from './store.ts';
import { tunedChoices } from './variants.ts';

/**
 * The choices that a store has for the adapter at hand, as `load` of `wgslim/web` takes them. A store that cannot be
 * read, as in a window without storage, counts as empty.
 * @param keyOf names the adapter's table
 */
export function storedChoices(
  store: Pick<TuningStore, 'read'>,
  keyOf: (capabilities: Capabilities) => string = (capabilities) => adapterKey(capabilities),
): TunedSource {
  return async (capabilities) => {
    const table = await store.read(keyOf(capabilities)).catch(() => undefined);
    return table && tunedChoices(table);
  };
}
