/** Node only: a run's files in a folder. */
import { appendFile, mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../format/node.ts';
import { InputError } from '../graph/errors.ts';
import type { RunStorage } from './storage.ts';

/** Names that a run gives its files (and what a killed process leaves of one): nothing else is ever removed. */
const RUN_FILE =
  /^\.?(result\.json|checkpoint\.safetensors|log\.jsonl|state-\d+\.safetensors|stage-\d+-[\w.-]+\.wgslim)(\.[0-9a-f]+\.tmp)?$/;

/** The folder is made when the first file is written. @throws InputError where the folder cannot be used */
export function folderStorage(folder: string): RunStorage {
  let made: Promise<unknown> | undefined;
  const make = () => {
    made ??= using(folder, () => mkdir(folder, { recursive: true }));
    return made;
  };
  const at = (name: string) => {
    if (!/^[\w.-]+$/.test(name) || name === '.' || name === '..') throw new Error(`'${name}' is no plain file name`);
    return join(folder, name);
  };
  return {
    read(name) {
      return using(folder, async () => {
        try {
          return await readFile(at(name));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
          throw error;
        }
      });
    },
    async write(name, bytes) {
      await make();
      await using(folder, () => writeFileAtomic(at(name), bytes));
    },
    async append(name, text) {
      await make();
      await using(folder, () => appendFile(at(name), text));
    },
    remove(name) {
      return using(folder, () => unlinkIfThere(at(name)));
    },
  };
}

/** Names of the files of a run that lie in the folder; none where there is no folder. */
export async function listRunFiles(folder: string): Promise<string[]> {
  return using(folder, async () => {
    try {
      return (await readdir(folder)).filter((name) => RUN_FILE.test(name)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}

/** Removes the files of a run, and nothing else that may lie in the folder. */
export async function clearRunFiles(folder: string): Promise<void> {
  for (const name of await listRunFiles(folder)) await using(folder, () => unlinkIfThere(join(folder, name)));
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** A folder that the user named may be a file, or not be ours to write. */
async function using<T>(folder: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' || code === 'EEXIST') throw new InputError(`${folder}: is not a folder.`);
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new InputError(`${folder}: may not be written (permission denied).`);
    }
    if (code === 'ENOSPC') throw new InputError(`${folder}: there is no space left (${message}).`);
    throw error;
  }
}
