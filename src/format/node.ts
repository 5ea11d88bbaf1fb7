import { randomBytes } from 'node:crypto';
import { open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../graph/errors.ts';
import { type CompressedModel, decodeModel } from './decodeModel.ts';

/** What Node puts into one Uint8Array. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/**
 * Writes a file so that its path holds the old content or the new, never a part: a temporary file beside it, flushed
 * to disk, then renamed. Whoever is killed in between leaves at most `.NAME.*.tmp`.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx').catch((error: NodeJS.ErrnoException) => {
      throw new InputError(`${path} cannot be written: ${reason(error, `the folder ${folder}`)}.`);
    });
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Makes the rename itself survive a power cut; not every platform can open a folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** Bytes of a file that the user named. @throws InputError where it cannot be read. */
export async function readInputFile(path: string): Promise<Uint8Array> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) throw new InputError(`${path} is a folder, not a file.`);
    if (info.size > MAX_FILE_BYTES) throw new InputError(`${path} has ${info.size} bytes: more than 2 GiB.`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path} cannot be read: ${reason(error as NodeJS.ErrnoException, 'it')}.`);
  }
}

/** Reads a compressed file from disk. */
export async function readModelFile(path: string): Promise<CompressedModel> {
  return decodeModel(await readInputFile(path), { fileName: path });
}

function reason(error: NodeJS.ErrnoException, subject: string): string {
  if (error.code === 'ENOENT') return `${subject} does not exist`;
  if (error.code === 'EACCES') return `there is no permission for ${subject}`;
  return error.message;
}
