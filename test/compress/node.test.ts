import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clearRunFiles, folderStorage, listRunFiles } from '../../src/compress/node.ts';
import { CHECKPOINT_FILE, LOG_FILE, RECORD_FILE, stageFile, stateFile } from '../../src/compress/runFiles.ts';
import { memoryStorage } from '../../src/compress/storage.ts';
import { InputError } from '../../src/graph/errors.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'wgslim-run-'));
});
afterAll(() => rm(root, { recursive: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => data && new TextDecoder().decode(data);

describe.each([
  ['folder', () => folderStorage(join(root, 'a', 'run'))],
  ['memory', () => memoryStorage()],
])('storage in %s', (_, make) => {
  it('reads what was written last, appends, and removes', async () => {
    const storage = make();
    expect(await storage.read('result.json')).toBeUndefined();
    await storage.remove('result.json');
    await storage.write('result.json', bytes('one'));
    await storage.write('result.json', bytes('two'));
    await storage.append('log.jsonl', 'a\n');
    await storage.append('log.jsonl', 'b\n');
    expect(text(await storage.read('result.json'))).toBe('two');
    expect(text(await storage.read('log.jsonl'))).toBe('a\nb\n');
    await storage.remove('result.json');
    expect(await storage.read('result.json')).toBeUndefined();
  });
});

describe('a run in a folder', () => {
  it('leaves no temporary files', async () => {
    const folder = join(root, 'clean');
    await folderStorage(folder).write('result.json', bytes('{}'));
    expect(await readdir(folder)).toEqual(['result.json']);
  });

  it('knows the files of a run by their names and removes no others', async () => {
    const folder = join(root, 'mixed');
    await mkdir(folder);
    const ours = [RECORD_FILE, CHECKPOINT_FILE, LOG_FILE, stateFile(0), stateFile(11), stageFile(2, 'fine tune (a)')];
    const killed = '.checkpoint.safetensors.0a1b2c3d4e5f.tmp';
    const theirs = ['notes.txt', 'result.json.bak', 'model.wgslim', 'state-x.safetensors'];
    for (const name of [...ours, killed, ...theirs]) await writeFile(join(folder, name), name);
    expect(await listRunFiles(folder)).toEqual([...ours, killed].sort());
    await clearRunFiles(folder);
    expect((await readdir(folder)).sort()).toEqual([...theirs].sort());
  });

  it('lists nothing where there is no folder', async () => {
    expect(await listRunFiles(join(root, 'none'))).toEqual([]);
  });

  it('refuses a file in the place of the folder', async () => {
    const path = join(root, 'file');
    await writeFile(path, '');
    await expect(listRunFiles(path)).rejects.toThrow(InputError);
    await expect(folderStorage(path).write('result.json', bytes(''))).rejects.toThrow(`${path}: is not a folder.`);
    await expect(folderStorage(join(path, 'below')).append('log.jsonl', '')).rejects.toThrow(InputError);
  });

  it('refuses names that lead elsewhere', async () => {
    const folder = join(root, 'inside');
    for (const name of ['../escaped', 'a/b', '..', '.', '']) {
      await expect((async () => folderStorage(folder).write(name, bytes('x')))()).rejects.toThrow('no plain file name');
    }
    expect(await readdir(root)).not.toContain('escaped');
  });

  it.skipIf(process.getuid?.() === 0)('says so where it may not write (root may always)', async () => {
    const folder = join(root, 'locked');
    await mkdir(folder);
    await chmod(folder, 0o500);
    await expect(folderStorage(folder).write('result.json', bytes(''))).rejects.toThrow(InputError);
  });

  it('keeps the old content where a write fails', async () => {
    const folder = join(root, 'kept');
    const storage = folderStorage(folder);
    await storage.write('result.json', bytes('old'));
    const broken = new Proxy(bytes('new'), {}) as Uint8Array;
    await expect(storage.write('result.json', broken)).rejects.toThrow();
    expect(await readFile(join(folder, 'result.json'), 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['result.json']);
  });
});
