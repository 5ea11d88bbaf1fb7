/** As much of IndexedDB as the store uses, with its order of events: success of requests, then the transaction's end. */
export function fakeIndexedDb(): IDBFactory {
  const databases = new Map<string, Map<string, Map<string, unknown>>>();

  const request = <T>(compute: () => T, before?: (result: T) => void) => {
    const made: { result?: T; onsuccess?: () => void; onupgradeneeded?: () => void } = {};
    queueMicrotask(() => {
      made.result = compute();
      before?.(made.result);
      made.onsuccess?.();
    });
    return made;
  };

  return {
    open(name: string) {
      const isNew = !databases.has(name);
      const stores = databases.get(name) ?? new Map<string, Map<string, unknown>>();
      databases.set(name, stores);
      const database = {
        createObjectStore: (store: string) => stores.set(store, new Map()),
        close() {},
        transaction(store: string) {
          const values = stores.get(store);
          if (!values) throw new Error(`no store ${store}`);
          const transaction: { oncomplete?: () => void; objectStore: unknown } = {
            objectStore: () => ({
              get: (key: string) => later(() => structuredClone(values.get(key))),
              put: (value: unknown, key: string) => later(() => values.set(key, structuredClone(value))),
            }),
          };
          const later = <T>(compute: () => T) => {
            const made = request(compute);
            setTimeout(() => transaction.oncomplete?.());
            return made;
          };
          return transaction;
        },
      };
      const opening = request(
        () => database,
        () => isNew && opening.onupgradeneeded?.(),
      );
      return opening;
    },
  } as unknown as IDBFactory;
}
