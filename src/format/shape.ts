import { expectArray, expectInteger } from './expect.ts';

/** No tensor of the file has more elements: 2^31 − 1 is what one typed array and one 32-bit index can address. */
export const MAX_ELEMENTS = 2 ** 31 - 1;
export const MAX_RANK = 16;

/** A checked shape: every dimension and the product of the non-zero ones at most MAX_ELEMENTS. */
export function expectShape(value: unknown, where: string): number[] {
  const shape = expectArray(value, where);
  expectInteger(shape.length, 0, MAX_RANK, `${where}: the number of dimensions`);
  let product = 1;
  for (const dim of shape) {
    expectInteger(dim, 0, MAX_ELEMENTS, `${where}: a dimension`);
    product *= Math.max(1, dim as number);
    expectInteger(product, 1, MAX_ELEMENTS, `${where}: the number of elements`);
  }
  return shape as number[];
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
