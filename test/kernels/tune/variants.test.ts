import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planGradWeight } from '../../../src/kernels/convGradWeight.ts';
import type { ConvShape } from '../../../src/kernels/convShape.ts';
import { chooseDenseProduct } from '../../../src/kernels/denseProduct.ts';
import { chooseInt8Product } from '../../../src/kernels/int8Product.ts';
import { planMatmul } from '../../../src/kernels/matmul.ts';
import type { Adapter } from '../../../src/kernels/productVariant.ts';
import { splitReduction } from '../../../src/kernels/reduceSum.ts';
import { softmaxLanes } from '../../../src/kernels/softmax.ts';
import { type Variants, variantId } from '../../../src/kernels/tune/candidates.ts';
import { dense, int8conv, int8product } from '../../../src/kernels/tune/packedVariants.ts';
import { conv, gradient, product, softmax, sum, tunedChoices } from '../../../src/kernels/tune/variants.ts';
import { planConv } from '../../../src/kernels/validConv.ts';

const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };

const tunedBy = (key: string, id: string) => tunedChoices(new Map([[key, id]]));

const convShape = (changes: Partial<ConvShape>): ConvShape => ({
  ...{ n: 32, ic: 64, ih: 18, iw: 18, oc: 64, oh: 16, ow: 16, kh: 3, kw: 3, groups: 1 },
  ...{ strideH: 1, strideW: 1, dilH: 1, dilW: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 },
  ...changes,
});

describe('a table', () => {
  const shape = { lines: 8, length: 10 };
  const choose = (table?: Map<string, string>) => tunedChoices(table).choose('softmax', gpu, shape);

  it('decides where it names a variant that there is; else the rule does', () => {
    const key = softmax.key(shape);
    expect(choose()).toBeUndefined();
    expect(choose(new Map())).toBeUndefined();
    expect(choose(new Map([[key, 'l16']]))).toBe(16);
    expect(choose(new Map([[key, 'l9']]))).toBeUndefined();
    expect(choose(new Map([['other', 'l16']]))).toBeUndefined();
    expect(tunedBy(key, 'l16').choose('other', gpu, shape)).toBeUndefined();
    expect(softmaxLanes(shape, { ...gpu, tuned: tunedBy(key, 'l16') })).toBe(16);
    expect(softmaxLanes(shape, { ...gpu, tuned: tunedBy(key, 'l9') })).toBe(softmaxLanes(shape, gpu));
  });

  it('decides for dot products, where a plan has their kernels', () => {
    const shape = { m: 1, n: 512, k: 200, bRows: false };
    expect(product.candidates(lavapipe, shape).map(({ id }) => id)).toContain('d1');
    const tuned = tunedBy(product.key(shape), 'd1');
    expect(tuned.choose('product', lavapipe, shape)).toMatchObject({ variant: { kind: 'dots', rows: 1 } });
    expect(planMatmul({ ...lavapipe, tuned }, shape)).toEqual(planMatmul(lavapipe, shape));
    expect(product.candidates(lavapipe, { ...shape, m: 5 }).filter(({ id }) => id.startsWith('d'))).toEqual([]);
  });

  it('changes the plan of a product, as far as the shape allows', () => {
    const shape = { m: 64, n: 512, k: 2048 };
    const rule = planMatmul(lavapipe, shape);
    for (const { id, value } of product.candidates(lavapipe, shape)) {
      const tuned = tunedBy(product.key(shape), id);
      expect(planMatmul({ ...lavapipe, tuned }, shape)).toEqual(value);
      // A neighbour of the same class takes it too, another adapter's variant is none.
      expect(planMatmul({ ...lavapipe, tuned }, { ...shape, n: 500 }).variant).toEqual(value.variant);
      expect(planMatmul({ ...gpu, tuned }, shape)).toEqual(planMatmul(gpu, shape));
    }
    const split = product.candidates(lavapipe, shape).find(({ value }) => value.splits > 1)!;
    const tuned = tunedBy(product.key(shape), split.id);
    expect(planMatmul({ ...lavapipe, tuned }, { ...shape, contiguous: false }).splits).toBe(rule.splits);
  });
});

describe('what the rules take', () => {
  const productBy = (adapter: Adapter, m: number, n: number, k: number, batches: number) => {
    const { variant, swap, splits } = planMatmul(adapter, { m, n, k, batches });
    return `${variantId(variant)}${swap ? ' swapped' : ''} ${splits}`;
  };

  it.each([
    [lavapipe, 512, 512, 512, 1, 'r32 1'],
    [lavapipe, 1, 1024, 1024, 1, 'r1 1'],
    [lavapipe, 1024, 1, 1024, 1, 'r1 swapped 1'],
    [lavapipe, 64, 32, 4096, 1, 'r16 4'],
    [lavapipe, 128, 10, 896, 1, 'r10 swapped 1'],
    [lavapipe, 16, 16, 64, 100, 'q16 1'],
    [lavapipe, 33, 33, 64, 64, 'q12 1'],
    // Two halves of a single matrix share a subgroup, and a row has no halves.
    [lavapipe, 16, 16, 64, 1, 'q8 1'],
    [lavapipe, 1, 16, 64, 1, 'r1 1'],
    // Subgroups are as full.
    [lavapipe, 33, 64, 64, 64, 'r12 1'],
    [swiftShader, 33, 33, 64, 64, 'r12 1'],
    [swiftShader, 512, 512, 512, 1, 'r16 1'],
    [gpu, 1024, 1024, 1024, 1, 't16x16 1'],
    [gpu, 64, 64, 4096, 1, 't16x16 16'],
    [gpu, 16, 4096, 1024, 1, 't4x64 4'],
  ] as const)('product on %j, %i x %i x %i, %i of them: %s', (adapter, m, n, k, batches, expected) => {
    expect(productBy(adapter, m, n, k, batches)).toBe(expected);
  });

  it('convolutions, gradients and reductions', () => {
    const convBy = (adapter: Adapter, groups: number, m: number, n: number) =>
      planConv(adapter, { groups, m, n }).variant;
    expect(convBy(lavapipe, 1, 64, 8192)).toMatchObject({ kind: 'subgroup', rows: 16 });
    expect(convBy(gpu, 1, 64, 8192)).toMatchObject({ kind: 'tiled', tm: 16, tn: 16 });
    expect(convBy(lavapipe, 32, 1, 8192)).toEqual({ kind: 'direct' });
    expect(planGradWeight(lavapipe, convShape({}))).toMatchObject({
      kind: 'product',
      variant: { rows: 16 },
      splits: 1,
    });
    expect(planGradWeight(gpu, convShape({}))).toMatchObject({ kind: 'product', splits: 16 });
    expect(planGradWeight(gpu, convShape({ groups: 64 }))).toMatchObject({ kind: 'direct' });
    expect([softmaxLanes({ lines: 8, length: 1000 }, gpu), softmaxLanes({ lines: 8, length: 10 }, gpu)]).toEqual([
      64, 1,
    ]);
    const row = { outputs: 10, length: 4096, innermostReduced: true };
    expect(splitReduction(row, gpu).lanes).toBe(64);
    expect(splitReduction(row, lavapipe).lanes).toBe(1);
  });

  it('is among the candidates of every shape', () => {
    const adapters = fc.constantFrom(lavapipe, swiftShader, gpu);
    const length = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(
        adapters,
        length,
        length,
        fc.integer({ min: 1, max: 5000 }),
        fc.constantFrom(1, 4),
        (adapter, m, n, k, groups) => {
          const hasRule = <Shape extends object, Plan>(kernel: Variants<Shape, Plan>, shape: Shape) => {
            const plans = kernel.candidates(adapter, shape).map(({ value }) => value);
            expect(plans).toContainEqual(kernel.rule(adapter, shape));
          };
          const images = (k % 40) + 1;
          hasRule(product, { m, n, k });
          hasRule(product, { m: ((m - 1) % 5) + 1, n, k, bRows: false });
          const weights = { bits: 4, table: false, group: groups === 1 ? 8 : 27, k: 27 };
          hasRule(dense, { m: images, rows: m, weights });
          hasRule(int8product, { m: images, rows: n, k, bits: 8 });
          if (groups === 1) hasRule(int8conv, { ...convShape({ oc: m, oh: n, n: images }), bits: 4 });
          for (const own of [undefined, weights])
            hasRule(conv, {
              weights: own,
              ...{ images, groups, groupOut: m, groupIn: 3, kh: 3, kw: 3, oh: n, ow: 7 },
              xAt: { offset: 0, image: 0, channel: 0, ky: 1, kx: 1, oy: 1, ox: 1 },
              outAt: { offset: 0, image: 0, channel: 0, oy: 1, ox: 1 },
            });
          hasRule(gradient, convShape({ groups, oc: groups * m, ic: groups * ((n % 40) + 1), n: images }));
          hasRule(sum, { outputs: m, length: k, innermostReduced: groups === 1 });
          hasRule(softmax, { lines: m, length: n });
        },
      ),
    );
  });
});

describe('packed weights', () => {
  const at = { offset: 0, image: 64, channel: 64, ky: 8, kx: 1, oy: 8, ox: 1 };
  const geometry = {
    ...{ images: 8, groups: 1, groupOut: 24, groupIn: 8, kh: 5, kw: 5, oh: 16, ow: 16, xAt: at, outAt: at },
  };
  const codes = { bits: 4, table: false, group: 200, k: 200 };
  const layers = { dense: { m: 4, rows: 24 }, conv: geometry };

  it('have keys by what it takes to unpack them', () => {
    const keys = [
      codes,
      ...[1, 2, 3, 5, 6, 7, 8, 16].map((bits) => ({ ...codes, bits })),
      { ...codes, group: 8 },
      { ...codes, table: true },
      { ...codes, table: true, group: 8 },
    ].flatMap((weights) => [dense.key({ ...layers.dense, weights }), conv.key({ ...layers.conv, weights })]);
    expect(new Set(keys).size).toBe(24);
    // The length of a group, zero points and the precision of scales do not tell keys apart.
    const other = { ...codes, group: 40, zeros: true, halfScales: true };
    expect(conv.key({ ...geometry, weights: other })).toBe(conv.key({ ...geometry, weights: { ...codes, group: 8 } }));
    // Floats in a packed layer's place are floats.
    const floats = { ...codes, bits: 32 };
    expect(conv.key({ ...geometry, weights: floats })).toBe(conv.key(geometry));
    expect(conv.key({ ...geometry, weights: { dtype: 'f32', elements: 4800 } })).toBe(conv.key(geometry));
  });

  it('keep to the plain product by rule where groups have scales, and may go by strips where measured', () => {
    const grouped = { ...geometry, weights: { ...codes, group: 8 } };
    expect(conv.rule(lavapipe, { ...geometry, weights: codes })).toBe('strips');
    expect(conv.rule(lavapipe, grouped)).toMatchObject({ variant: { kind: 'subgroup' } });
    expect(conv.candidates(lavapipe, grouped).map(({ id }) => id)).toContain('strips');
  });

  it('of dense layers are multiplied as a table says', () => {
    for (const adapter of [lavapipe, gpu]) {
      for (const m of [1, 3, 12, 40]) {
        const shape = { m, rows: 24, weights: codes };
        for (const { id, value } of dense.candidates(adapter, shape)) {
          const tuned = tunedBy(dense.key(shape), id);
          expect(chooseDenseProduct({ ...adapter, tuned }, shape)).toEqual(value);
        }
        const bytes = { m, rows: 24, k: 200, bits: 8 as const };
        for (const { id, value } of int8product.candidates(adapter, bytes)) {
          const tuned = tunedBy(int8product.key(bytes), id);
          expect(chooseInt8Product({ ...adapter, tuned }, bytes)).toEqual(value);
        }
      }
    }
  });

  it('of bytes whose groups straddle words have nothing to choose', () => {
    const shape = { ...convShape({ groups: 2, ic: 6, oc: 8 }), bits: 8 as const };
    expect(int8conv.candidates(gpu, shape)).toEqual([]);
  });
});

describe('half precision', () => {
  const shape = { m: 512, n: 512, k: 512 };
  const ids = (adapter: Adapter, half: boolean) => product.candidates(adapter, { ...shape, half }).map(({ id }) => id);

  it('is among the candidates of a tiled product where it was asked for, under a key of its own', () => {
    expect(ids(gpu, false).filter((id) => id.includes('f16'))).toEqual([]);
    expect(ids(gpu, true)).toEqual(expect.arrayContaining(['t16x16f16', 't16x16', 't8x32f16s']));
    expect(ids(lavapipe, true)).toEqual(ids(lavapipe, false));
    expect(product.key({ ...shape, half: true })).not.toBe(product.key(shape));
    const tuned = tunedBy(product.key({ ...shape, half: true }), 't16x16');
    expect(planMatmul({ ...gpu, tuned }, { ...shape, half: true }).variant).toEqual({ kind: 'tiled', tm: 16, tn: 16 });
    expect(planMatmul(gpu, { ...shape, half: true }).variant).toEqual({ kind: 'tiled', tm: 16, tn: 16, half: true });
  });

  it('of a convolution too', () => {
    const at = { offset: 0, image: 1, channel: 1, ky: 1, kx: 1, oy: 1, ox: 1 };
    const geometry = {
      ...{ images: 8, groups: 1, groupOut: 64, groupIn: 64, kh: 3, kw: 3, oh: 16, ow: 16, xAt: at, outAt: at },
    };
    const idsOf = (half: boolean) => conv.candidates(gpu, { ...geometry, half }).map(({ id }) => id);
    expect(idsOf(false).filter((id) => id.includes('f16'))).toEqual([]);
    expect(idsOf(true)).toEqual(expect.arrayContaining(['t16x16f16', 't16x16']));
    expect(conv.rule(gpu, { ...geometry, half: true })).toMatchObject({ variant: { half: true } });
    expect(conv.key({ ...geometry, half: true })).not.toBe(conv.key(geometry));
  });
});
