/** Where a run keeps its files: a folder in Node, memory in a page or a test. Names are plain file names. */
export interface RunStorage {
  read(name: string): Promise<Uint8Array | undefined>;
  /** The file appears whole or not at all, and stays after the process is killed. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Adds to the end of a file. A kill may leave the last line short. */
  append(name: string, text: string): Promise<void>;
  remove(name: string): Promise<void>;
}

export function memoryStorage(): RunStorage & { files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes.slice()),
    append: async (name, text) => {
      const known = new TextDecoder().decode(files.get(name) ?? new Uint8Array());
      files.set(name, new TextEncoder().encode(known + text));
    },
    remove: async (name) => void files.delete(name),
  };
}
