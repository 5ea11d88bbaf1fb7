import { closeSync, fstatSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import type { ReadExternal } from './external.ts';
import { type ImportOptions, importQuantized, type QuantizedImport } from './import.ts';

/** Reads an `.onnx` file, and the files beside it in which it keeps tensors. For Node only. */
export async function readOnnxFile(path: string, options: Pick<ImportOptions, 'maxOpset'> = {}): Promise<Graph> {
  return (await readQuantizedOnnxFile(path, options)).graph;
}

/** As `readOnnxFile`, with the integers of a quantized model beside the graph. */
export async function readQuantizedOnnxFile(
  path: string,
  options: Pick<ImportOptions, 'maxOpset'> = {},
): Promise<QuantizedImport> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new InputError(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`,
    );
  }
  return importQuantized(bytes, { ...options, fileName: basename(path), readExternal: externalReader(dirname(path)) });
}

/** Reads ranges of files inside `folder`; symbolic links may not lead out of it either. */
export function externalReader(folder: string): ReadExternal {
  return (relativePath, offset, length) => {
    let file: number;
    try {
      const root = realpathSync(folder);
      const target = realpathSync(join(root, relativePath));
      if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) {
        throw new InputError(`the external file '${relativePath}' is outside the model's folder`);
      }
      file = openSync(target, 'r');
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(
        `the external file '${relativePath}' cannot be read (${(error as NodeJS.ErrnoException).code})`,
      );
    }
    try {
      const { size } = fstatSync(file);
      const count = length ?? size - offset;
      if (count < 0 || offset + count > size) {
        throw new InputError(`${count} bytes at ${offset} of '${relativePath}' are asked for, which has ${size}`);
      }
      const bytes = new Uint8Array(count);
      let done = 0;
      while (done < count) {
        const read = readSync(file, bytes, done, count - done, offset + done);
        if (read === 0) throw new InputError(`'${relativePath}' ended while it was read`);
        done += read;
      }
      return bytes;
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(
        `the external file '${relativePath}' cannot be read (${(error as NodeJS.ErrnoException).code})`,
      );
    } finally {
      closeSync(file);
    }
  };
}
