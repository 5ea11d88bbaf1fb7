import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { readInputFile, readModelFile, writeFileAtomic } from '../../src/format/node.ts';
import { InputError } from '../../src/graph/errors.ts';
import { exampleModel } from './example.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-format-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('writeFileAtomic', () => {
  it('writes, replaces, and leaves nothing else', async () => {
    const path = join(folder, 'a.bin');
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    await writeFileAtomic(path, 'text');
    expect(await readFile(path, 'utf8')).toBe('text');
    expect(await readdir(folder)).toEqual(['a.bin']);
  });

  it('refuses a folder that does not exist', async () => {
    const path = join(folder, 'missing', 'a.bin');
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow(InputError);
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow(/cannot be written: the folder .*missing does not exist/);
  });

  it('leaves no temporary file when the rename fails', async () => {
    await expect(writeFileAtomic(folder, 'x')).rejects.toThrow();
    expect(
      (await readdir(join(folder, '..'))).filter((entry) => entry.startsWith(`.${folder.split('/').pop()}`)),
    ).toEqual([]);
  });

  it('leaves the old content or the new when the process is killed', async () => {
    const path = join(folder, 'model.bin');
    const size = 8_000_000;
    const module = new URL('../../src/format/node.ts', import.meta.url).href;
    const script = `import { writeFileAtomic } from ${JSON.stringify(module)};
      console.log('ready');
      for (let i = 0; ; i++) await writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(${size}).fill(i));`;
    const scriptFile = join(folder, 'writer.mts');
    await writeFile(scriptFile, script);
    const loader = fileURLToPath(import.meta.resolve('tsx'));
    for (const delay of [5, 23, 61]) {
      await new Promise<void>((resolve) => {
        const child = execFile(process.execPath, ['--import', loader, scriptFile], () => resolve());
        child.stdout!.once('data', () => setTimeout(() => child.kill('SIGKILL'), delay));
      });
      const content = await readFile(path).catch(() => undefined);
      if (!content) continue;
      expect(content.length).toBe(size);
      expect(content.every((byte) => byte === content[0])).toBe(true);
    }
  });
});

describe('readModelFile', () => {
  it('reads what was written', async () => {
    const { graph, encodings, meta } = exampleModel();
    const path = join(folder, 'example.wgslim');
    await writeFileAtomic(path, encodeModel(graph, encodings, meta));
    expect((await readModelFile(path)).graph).toEqual(graph);
  });

  it('names a file that is missing, a folder, or not a model', async () => {
    await expect(readModelFile(join(folder, 'no'))).rejects.toThrow(/no cannot be read: it does not exist/);
    await expect(readInputFile(folder)).rejects.toThrow(/is a folder/);
    await writeFile(join(folder, 'text'), 'hello, world');
    await expect(readModelFile(join(folder, 'text'))).rejects.toThrow(InputError);
    await expect(readModelFile(join(folder, 'text'))).rejects.toThrow(/text: the header length/);
  });
});
