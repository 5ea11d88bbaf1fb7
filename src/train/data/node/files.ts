/** Reading files that the user names: whatever is wrong with them becomes an InputError that names the file. */
import type { Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../../graph/errors.ts';

/** Node reads at most this many bytes into one buffer. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

export async function statInput(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw new InputError(`${path}: ${fileReason(error)}.`);
  }
}

/** The whole file. Anything that is no regular file is refused: reading a pipe or a device may never end. */
export async function readInput(path: string, maxBytes = MAX_FILE_BYTES): Promise<Uint8Array> {
  const info = await statInput(path);
  if (!info.isFile()) throw new InputError(`${path}: is not a regular file.`);
  if (info.size > maxBytes) throw new InputError(`${path}: has ${info.size} bytes, at most ${maxBytes} can be read.`);
  try {
    return await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: ${fileReason(error)}.`);
  }
}

export interface Entry {
  name: string;
  path: string;
  isFolder: boolean;
}

/** What a folder holds, in the order of the names' code units (the same on every machine), without hidden entries. */
export async function listFolder(path: string): Promise<Entry[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const listed = entries
      .filter((entry) => !entry.name.startsWith('.'))
      .map(async (entry) => {
        const full = join(path, entry.name);
        const isFolder = entry.isSymbolicLink()
          ? await stat(full).then(
              (target) => target.isDirectory(),
              () => false,
            )
          : entry.isDirectory();
        return { name: entry.name, path: full, isFolder };
      });
    return (await Promise.all(listed)).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw new InputError(`${path}: ${fileReason(error)}.`);
  }
}

function fileReason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException)?.code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read (permission denied)';
    case 'ENOTDIR':
      return 'is not a folder';
    case 'ELOOP':
      return 'is a symbolic link that leads to itself';
    default:
      return `cannot be read (${error instanceof Error ? error.message : String(error)})`;
  }
}
