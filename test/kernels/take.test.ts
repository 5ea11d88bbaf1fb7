import { expect, it } from 'vitest';
import { inverseIndices } from '../../src/kernels/take.ts';

it('groups positions by the index taken there, in order', () => {
  const { starts, positions } = inverseIndices(Uint32Array.of(2, 0, 2, 4, 0, 2), 5);
  expect([...starts]).toEqual([0, 2, 2, 5, 5, 6]);
  expect([...positions]).toEqual([1, 4, 0, 2, 5, 3]);
  expect([...inverseIndices(new Uint32Array(), 2).starts]).toEqual([0, 0, 0]);
});
