import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { packBits } from '../../src/format/bits.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { everyEncoding } from './everyEncoding.ts';
import { exampleModel } from './example.ts';
import { independentRead } from './independentReader.ts';
import { lenet } from './models.ts';

const page = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');
const dump = /```hexdump\n([^`]*)```/.exec(page)![1]!;
const exampleFile = Buffer.from(
  dump
    .trim()
    .split('\n')
    .map((line) => line.slice(6, 6 + 47).replaceAll(' ', ''))
    .join(''),
  'hex',
);

describe('docs/format.md', () => {
  it('shows the bytes that the writer makes of the worked example', () => {
    const { graph, encodings, meta } = exampleModel();
    expect(Buffer.from(encodeModel(graph, encodings, meta)).toString('hex')).toBe(exampleFile.toString('hex'));
  });

  it('has a worked example that reads as it says', () => {
    const { graph, meta } = exampleModel();
    const model = decodeModel(exampleFile, { fileName: 'example.wgslim' });
    expect(model.graph).toEqual(graph);
    expect(model.meta).toEqual(meta);
    const { tensors } = independentRead(exampleFile);
    expect(tensors.map(({ values }: { values: number[] }) => values)).toEqual([
      [0.5, -1, 1.5, -2, 0, 0.25, -0.25, 0.5],
      [1, -0.5],
      [0, 0, -0.375, 0, 0, 0, 0, 0, 0, 0, 0.75, 0],
    ]);
  });

  it('shows the bytes of a small bit stream', () => {
    expect(page).toContain('The 3-bit values 1, 2, 3, 4, 5, 6 are');
    expect(page).toContain(
      `\`${Buffer.from(packBits([1, 2, 3, 4, 5, 6], 3))
        .toString('hex')
        .replace(/..(?=.)/g, '$& ')}\``,
    );
  });

  it.each([
    ['every encoding', everyEncoding()],
    ['LeNet-5', { ...lenet(0.93, 4) }],
  ])('lets a reader written from it alone read %s', (_, { graph, encodings, meta }) => {
    const file = encodeModel(graph, encodings, meta);
    const expected = decodeModel(file, { fileName: 'x' });
    const found = independentRead(Buffer.from(file));
    expect(found.nodes).toEqual(expected.graph.nodes);
    expect(found.meta).toEqual(expected.meta);
    const named = found.tensors.filter(({ name }: { name: string }) => name !== '');
    expect(named.map(({ name }: { name: string }) => name)).toEqual([...expected.graph.initializers.keys()]);
    for (const { name, dtype, shape, values } of named) {
      const tensor = expected.graph.initializers.get(name)!;
      expect({ dtype, shape, values }).toEqual({
        dtype: tensor.dtype,
        shape: tensor.shape,
        values: Array.from(tensor.data as Float32Array, Number),
      });
    }
  });
});
