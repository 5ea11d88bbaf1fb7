import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { list } from 'tar';
import { InputError } from '../../src/graph/errors.ts';

/** One ONNX backend node test: a model, and data sets of serialised tensors in the order of its inputs and outputs. */
export interface NodeTest {
  name: string;
  model: Uint8Array;
  dataSets: { inputs: Uint8Array[]; outputs: Uint8Array[] }[];
}

/**
 * Reads node tests out of a folder or a tarball (plain or gzipped), at any depth: a test is a folder that holds
 * `model.onnx` and `test_data_set_N/{input,output}_N.pb`. Sorted by name.
 */
export async function readNodeTests(path: string): Promise<NodeTest[]> {
  let files: Map<string, Uint8Array>;
  try {
    files = statSync(path).isDirectory() ? readFolder(path) : await readTarball(path);
  } catch (error) {
    throw new InputError(`${path} cannot be read as a folder or tarball of node tests (${(error as Error).message})`);
  }
  const tests = [...files.keys()]
    .filter((file) => basename(file) === 'model.onnx')
    .map((file) => {
      const folder = dirname(file);
      const prefix = folder === '.' ? '' : `${folder}/`;
      return {
        name: basename(folder === '.' ? path : folder),
        model: files.get(file)!,
        dataSets: readDataSets(files, prefix),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (tests.length === 0) throw new InputError(`${path} holds no node test (no model.onnx)`);
  return tests;
}

function readDataSets(files: ReadonlyMap<string, Uint8Array>, prefix: string): NodeTest['dataSets'] {
  const sets: NodeTest['dataSets'] = [];
  for (let set = 0; ; set++) {
    const read = (kind: string): Uint8Array[] => {
      const tensors: Uint8Array[] = [];
      for (let index = 0; ; index++) {
        const bytes = files.get(`${prefix}test_data_set_${set}/${kind}_${index}.pb`);
        if (!bytes) return tensors;
        tensors.push(bytes);
      }
    };
    const outputs = read('output');
    if (outputs.length === 0) return sets;
    sets.push({ inputs: read('input'), outputs });
  }
}

function readFolder(root: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(onnx|pb)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(root, path).split(sep).join('/'), readFileSync(path));
  }
  return files;
}

async function readTarball(path: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  await list({
    file: path,
    strict: true,
    onReadEntry: (entry) => {
      const chunks: Uint8Array[] = [];
      entry.on('data', (chunk: Uint8Array) => chunks.push(chunk));
      entry.on('end', () => {
        if (/\.(onnx|pb)$/.test(entry.path)) files.set(entry.path.replace(/^\.\//, ''), Buffer.concat(chunks));
      });
    },
  });
  return files;
}
