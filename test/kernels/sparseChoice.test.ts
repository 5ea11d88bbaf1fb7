import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { chooseSparse } from '../../src/kernels/sparseChoice.ts';
import { chooseSparseVariant } from '../../src/kernels/sparseDispatch.ts';
import { sparsityPattern } from '../../src/kernels/sparsePattern.ts';
import { packRows } from '../../src/kernels/sparseRows.ts';
import type { WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { blocksOf, type Mask, maskedMatrix, nOfM, pack, unstructured } from '../support/sparse.ts';

const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
const swiftshader: Adapter = { kind: 'cpu', subgroupSize: 4 };
const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };

const chosen = (adapter: Adapter, matrix: WeightMatrix, m: number, groups = 1) =>
  chooseSparse(adapter, { pattern: sparsityPattern(matrix, { groups }), m });

describe('the pattern of sparse weights', () => {
  it('counts weights and finds N:M', () => {
    const pattern = (mask: Mask) => sparsityPattern(maskedMatrix(16, 32, mask));
    expect(pattern(() => false)).toMatchObject({ density: 0, nm: { n: 1, m: 4 }, unstructured: { windows: 0 } });
    expect(pattern(() => true)).toMatchObject({ density: 1, nm: undefined });
    expect(pattern(nOfM(2, 4))).toMatchObject({ density: 0.5, nm: { n: 2, m: 4 } });
    expect(pattern(nOfM(1, 4)).nm).toEqual({ n: 1, m: 4 });
    expect(pattern((_, term) => term % 8 < 4).nm).toEqual({ n: 4, m: 8 });
    expect(pattern((_, term) => term % 8 < 5).nm).toBeUndefined();
  });

  it('counts the windows of blocks', () => {
    const { blocks } = sparsityPattern(maskedMatrix(32, 64, (row, term) => row < 16 && term < 9));
    expect(blocks).toEqual([
      { rows: 8, windows: 4 },
      { rows: 16, windows: 2 },
      { rows: 32, windows: 2 },
    ]);
  });

  it.each([0.02, 0.05, 0.1, 0.2, 0.3, 0.5])('knows how many windows rows need, density %s', (density) => {
    const matrix = maskedMatrix(128, 512, unstructured(5, density));
    const { unstructured: expected } = sparsityPattern(matrix);
    const { windows, layout } = packRows(matrix);
    expect(layout).toEqual(expected!.layout);
    expect(windows / expected!.windows).toBeGreaterThan(0.85);
    expect(windows / expected!.windows).toBeLessThan(1.2);
  });
});

describe('the choice of a sparse form', () => {
  // On lavapipe every form named here was measured to be faster than float32 at this shape, and
  // every `dense` is a case in which none was (bench/packed/sparse.ts).
  const conv: [string, number, string, Mask][] = [
    ['10 %', 256, 'rows', unstructured(1, 0.1)],
    ['20 %', 8192, 'rows', unstructured(1, 0.2)],
    ['half', 8192, 'dense', unstructured(1, 0.5)],
    ['all', 256, 'dense', () => true],
    ['1:4', 8192, 'nm', nOfM(1, 4)],
    ['blocks of 8, a quarter', 8192, 'blocks', blocksOf(2, 0.1, 8, 8)],
    ['blocks of 8, half', 8192, 'dense', blocksOf(2, 0.5, 8, 8)],
  ];
  it.each(conv)('a convolution of 64 channels, %s of the weights, %i pixels', (_, m, form, mask) => {
    expect(chosen(lavapipe, maskedMatrix(64, 576, mask), m).form).toBe(form);
  });

  const dense: [string, number, string, Mask][] = [
    ['10 %', 1, 'rows', unstructured(1, 0.1)],
    ['10 %', 32, 'rows', unstructured(1, 0.1)],
    ['half', 1, 'rows', unstructured(1, 0.5)],
    ['2:4', 1, 'nm', nOfM(2, 4)],
    ['2:4', 32, 'nm', nOfM(2, 4)],
    ['blocks of 16, a quarter', 32, 'blocks', blocksOf(3, 0.25, 16, 16)],
    ['all', 32, 'dense', () => true],
  ];
  it.each(dense)('a dense layer of 512 x 512, %s of the weights, %i vectors', (_, m, form, mask) => {
    expect(chosen(lavapipe, maskedMatrix(512, 512, mask), m).form).toBe(form);
  });

  it('says why', () => {
    const sparse = maskedMatrix(64, 576, unstructured(1, 0.1));
    expect(chosen(lavapipe, sparse, 256).reason).toMatch(
      /^\d+ % of the weights are not zero: as rows .* 0\.[45]\d of the/,
    );
    expect(
      chosen(
        lavapipe,
        maskedMatrix(64, 64, () => true),
        256,
      ).reason,
    ).toMatch(/^100 % .* [1-9]\.\d\d of the/);
    expect(chosen(swiftshader, sparse, 256)).toMatchObject({
      form: 'dense',
      reason: expect.stringContaining('eight lanes'),
    });
    expect(chosen(lavapipe, maskedMatrix(6, 9, unstructured(1, 0.1)), 256, 3).reason).toContain('groups of 2 rows');
    expect(
      chosen(
        lavapipe,
        maskedMatrix(0, 9, () => true),
        256,
      ).reason,
    ).toContain('nothing');
    const codes = { bits: 4, codes: new Int16Array(16), scale: new Float32Array(2), halfScale: false, group: 8 };
    const grouped: WeightMatrix = { rows: 1, k: 16, values: { kind: 'int', ...codes } };
    expect(chosen(lavapipe, grouped, 1)).toMatchObject({
      form: 'dense',
      reason: expect.stringContaining('one scale per row'),
    });
  });

  it('trusts its estimates of a GPU where the weights are few and the columns many', () => {
    const few = maskedMatrix(512, 512, unstructured(1, 0.05));
    expect(chosen(gpu, few, 1024).form).not.toBe('dense');
    expect(chosen(gpu, maskedMatrix(64, 512, unstructured(1, 0.05)), 1).form).toBe('dense');
    expect(chosen(gpu, maskedMatrix(512, 512, unstructured(1, 0.5)), 256).form).toBe('dense');
    expect(chosen(gpu, maskedMatrix(512, 512, nOfM(2, 4)), 4096).form).toBe('dense');
  });

  it('names forms that fit', () => {
    for (const mask of [unstructured(1, 0.1), nOfM(1, 4), blocksOf(2, 0.1, 8, 8)]) {
      const matrix = maskedMatrix(64, 576, mask);
      const choice = chosen(lavapipe, matrix, 8192);
      if (choice.form === 'dense') throw new Error(choice.reason);
      expect(pack(matrix, choice.form === 'rows' ? 'rows' : choice).form).toBe(choice.form);
    }
  });
});

describe('how columns are cut', () => {
  const layout = packRows(maskedMatrix(64, 64, unstructured(1, 0.1))).layout;
  it.each([
    [lavapipe, 1, { kind: 'subgroup', subgroup: 8, columns: 1 }],
    [lavapipe, 3, { kind: 'subgroup', subgroup: 8, columns: 4 }],
    [lavapipe, 1000, { kind: 'subgroup', subgroup: 8, columns: 16 }],
    [swiftshader, 1000, { kind: 'subgroup', subgroup: 4, columns: 16 }],
    [gpu, 1, { kind: 'tiled', across: 1 }],
    [gpu, 1000, { kind: 'tiled', across: 4 }],
    [{ kind: 'cpu', subgroupSize: 16 }, 9, { kind: 'tiled', across: 4 }],
  ] as const)('%j, %i columns', (adapter, n, variant) => {
    expect(chooseSparseVariant(adapter, layout, n)).toEqual(variant);
  });

  it('makes wider tiles of few rows', () => {
    expect(chooseSparseVariant(lavapipe, { ...layout, sets: 1 }, 1000)).toMatchObject({ columns: 32 });
    expect(chooseSparseVariant(gpu, { ...layout, sets: 1 }, 1000)).toEqual({ kind: 'tiled', across: 32 });
  });
});
