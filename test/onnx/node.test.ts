import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { sketchModel } from './build.ts';

const folder = mkdtempSync(join(tmpdir(), 'wgslim-onnx-'));
const inside = join(folder, 'model');
mkdirSync(inside);
writeFileSync(join(folder, 'secret.bin'), new Uint8Array(64));
writeFileSync(join(inside, 'weights.bin'), new Uint8Array(Float32Array.of(0, 1, 2, 3).buffer));
symlinkSync(join(folder, 'secret.bin'), join(inside, 'link.bin'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(location: string, offset: number): string {
  const path = join(inside, 'm.onnx');
  const bytes = sketchModel(
    {
      inputs: { x: [3] },
      outputs: ['y'],
      nodes: [['Add', ['x', 'w'], ['y']]],
      initializers: { w: floatTensor([3], [0, 0, 0]) },
    },
    13,
    (model) => {
      const fields = Object.entries({ location, offset: String(offset), length: '12' });
      Object.assign(model.graph!.initializer[0]!, {
        dataLocation: 1,
        rawData: new Uint8Array(),
        externalData: fields.map(([key, value]) => ({ $typeName: 'onnx.StringStringEntryProto', key, value })),
      });
    },
  );
  writeFileSync(path, bytes);
  return path;
}

describe('readOnnxFile', () => {
  it('reads tensors that lie beside the model', async () => {
    const graph = await readOnnxFile(write('weights.bin', 4));
    expect(graph.initializers.get('w')).toEqual(floatTensor([3], [1, 2, 3]));
  });

  it.each([
    ['a range past the end', 'weights.bin', 8, /12 bytes at 8 of 'weights.bin' are asked for, which has 16/],
    ['a missing file', 'none.bin', 0, /^m\.onnx: .*'none\.bin' cannot be read \(ENOENT\)/],
    ['a link out of the folder', 'link.bin', 0, /outside the model's folder/],
    ['a folder', '.', 0, /outside the model's folder/],
  ])('refuses %s', async (_, location, offset, message) => {
    const path = write(location, offset);
    await expect(readOnnxFile(path)).rejects.toThrow(InputError);
    await expect(readOnnxFile(path)).rejects.toThrow(message);
  });

  it('says which file is missing', async () => {
    await expect(readOnnxFile(join(inside, 'absent.onnx'))).rejects.toThrow(/absent\.onnx cannot be read \(ENOENT\)/);
  });
});
