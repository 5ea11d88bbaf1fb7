/** Tables of choices in a browser's IndexedDB. Nothing is stored unless a page asks for this store. */
import { readEntries, type TuningStore } from './store.ts';

const DATABASE = 'wgslim';
const STORE = 'tuned';

/** @param factory the browser's `indexedDB` by default */
export function indexedDbTuning(factory: IDBFactory = indexedDB): TuningStore {
  return {
    read: (adapter) =>
      withStore(factory, 'readonly', (store) => store.get(adapter)).then((value) => readEntries(value)),
    async write(adapter, table) {
      await withStore(factory, 'readwrite', (store) => store.put(Object.fromEntries(table), adapter));
    },
  };
}

async function withStore<T>(
  factory: IDBFactory,
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = factory.open(DATABASE, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(STORE);
  };
  const database = await settled(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
    const [value] = await Promise.all([settled(use(transaction.objectStore(STORE))), done]);
    return value;
  } finally {
    database.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
