import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradWeightCandidates, planGradWeight } from '../../src/kernels/convGradWeight.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { planMatmul, productCandidates, productKey } from '../../src/kernels/matmul.ts';
import { type Adapter, variantId } from '../../src/kernels/productVariant.ts';
import { splitReduction } from '../../src/kernels/reduceSum.ts';
import { softmaxKey, softmaxLanes } from '../../src/kernels/softmax.ts';
import { lengthClass, parseShapeKey, shapeKey, tunedChoice } from '../../src/kernels/tuned.ts';
import { convCandidates, planConv } from '../../src/kernels/validConv.ts';

const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };

describe('a table', () => {
  const candidates = () => [1, 2, 3].map((value) => ({ id: `v${value}`, value }));
  const choose = (table?: Map<string, string>) => tunedChoice({ tuned: table }, () => 'key', candidates, 1);

  it('decides where it names a variant that there is; else the rule does', () => {
    expect(choose()).toBe(1);
    expect(choose(new Map())).toBe(1);
    expect(choose(new Map([['key', 'v3']]))).toBe(3);
    expect(choose(new Map([['key', 'v9']]))).toBe(1);
    expect(choose(new Map([['other', 'v3']]))).toBe(1);
  });

  it('changes the plan of a product, as far as the shape allows', () => {
    const shape = { m: 64, n: 512, k: 2048 };
    const rule = planMatmul(lavapipe, shape);
    for (const { id, value } of productCandidates(lavapipe, shape)) {
      const tuned = new Map([[productKey(shape), id]]);
      expect(planMatmul({ ...lavapipe, tuned }, shape)).toEqual(value);
      // A neighbour of the same class takes it too, another adapter's variant is none.
      expect(planMatmul({ ...lavapipe, tuned }, { ...shape, n: 500 }).variant).toEqual(value.variant);
      expect(planMatmul({ ...gpu, tuned }, shape)).toEqual(planMatmul(gpu, shape));
    }
    const split = productCandidates(lavapipe, shape).find(({ value }) => value.splits > 1)!;
    const tuned = new Map([[productKey(shape), split.id]]);
    expect(planMatmul({ ...lavapipe, tuned }, { ...shape, contiguous: false }).splits).toBe(rule.splits);
  });
});

describe('keys', () => {
  it('come back as they were', () => {
    const dims = { m: 64, n: 10, kh: 3 };
    expect(parseShapeKey(shapeKey('conv', dims))).toEqual({ kernel: 'conv', dims });
    for (const text of ['conv m', 'conv m-1', 'conv 3', 'conv m1.5']) expect(parseShapeKey(text)).toBeUndefined();
  });

  it('round lengths up by less than a quarter, and keep what is a class already', () => {
    expect([1, 32, 33, 37, 100, 1000, 1024, 1025].map(lengthClass)).toEqual([1, 32, 40, 40, 112, 1024, 1024, 1280]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 24 }), (length) => {
        const rounded = lengthClass(length);
        expect(rounded).toBeGreaterThanOrEqual(length);
        expect(rounded).toBeLessThan(1.25 * length + 1);
        expect(lengthClass(rounded)).toBe(rounded);
      }),
    );
  });
});

describe('what the rules take', () => {
  const convShape = (changes: Partial<ConvShape>): ConvShape => ({
    ...{ n: 32, ic: 64, ih: 18, iw: 18, oc: 64, oh: 16, ow: 16, kh: 3, kw: 3, groups: 1 },
    ...{ strideH: 1, strideW: 1, dilH: 1, dilW: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 },
    ...changes,
  });
  const product = (adapter: Adapter, m: number, n: number, k: number) => {
    const { variant, swap, splits } = planMatmul(adapter, { m, n, k });
    return `${variantId(variant)}${swap ? ' swapped' : ''} ${splits}`;
  };

  it.each([
    [lavapipe, 512, 512, 512, 'r16 1'],
    [lavapipe, 1, 1024, 1024, 'r1 1'],
    [lavapipe, 1024, 1, 1024, 'r1 swapped 1'],
    [lavapipe, 64, 32, 4096, 'r16 4'],
    [swiftShader, 512, 512, 512, 'r16 1'],
    [gpu, 1024, 1024, 1024, 't16x16 1'],
    [gpu, 64, 64, 4096, 't16x16 16'],
    [gpu, 16, 4096, 1024, 't4x64 4'],
  ] as const)('product on %j, %i x %i x %i: %s', (adapter, m, n, k, expected) => {
    expect(product(adapter, m, n, k)).toBe(expected);
  });

  it('convolutions, gradients and reductions', () => {
    const conv = (adapter: Adapter, groups: number, m: number, n: number) =>
      planConv(adapter, { groups, m, n }).variant;
    expect(conv(lavapipe, 1, 64, 8192)).toMatchObject({ kind: 'subgroup', rows: 16 });
    expect(conv(gpu, 1, 64, 8192)).toMatchObject({ kind: 'tiled', tm: 16, tn: 16 });
    expect(conv(lavapipe, 32, 1, 8192)).toEqual({ kind: 'direct' });
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
    expect(
      softmaxLanes(
        { lines: 8, length: 10 },
        { ...gpu, tuned: new Map([[softmaxKey({ lines: 8, length: 10 }), 'l4']]) },
      ),
    ).toBe(4);
    const sum = { outputs: 10, length: 4096, innermostReduced: true };
    expect(splitReduction(sum, gpu).lanes).toBe(64);
    expect(splitReduction(sum, lavapipe).lanes).toBe(1);
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
          expect(productCandidates(adapter, { m, n, k }).map(({ value }) => value)).toContainEqual(
            planMatmul(adapter, { m, n, k }),
          );
          expect(convCandidates(adapter, { groups, m, n }).map(({ value }) => value)).toContainEqual(
            planConv(adapter, { groups, m, n }),
          );
          const shape = convShape({ groups, oc: groups * m, ic: groups * ((n % 40) + 1), n: (k % 40) + 1 });
          expect(gradWeightCandidates(adapter, shape).map(({ value }) => value)).toContainEqual(
            planGradWeight(adapter, shape),
          );
        },
      ),
    );
  });
});
