/**
 * Choices that were measured. A kernel with several variants asks for its shape's entry; without a table, without an
 * entry, and where the entry names a variant that the shape or the adapter does not have, the kernel's rule decides. So
 * a choice stays a pure function of adapter, shape and table.
 */
import type { TunedTable } from '../gpu/capabilities.ts';

export interface Candidate<T> {
  /** Names the variant in a table: `r16`, `t16x16`. */
  id: string;
  value: T;
}

export function tunedChoice<T>(
  { tuned }: { tuned?: TunedTable | undefined },
  key: () => string,
  candidates: () => readonly Candidate<T>[],
  rule: T,
): T {
  const id = tuned?.get(key());
  if (id === undefined) return rule;
  return candidates().find((candidate) => candidate.id === id)?.value ?? rule;
}

/** `conv g1 o64 i64`: the kernel and the numbers that its speed depends on. */
export function shapeKey(kernel: string, dims: Readonly<Record<string, number>>): string {
  return [kernel, ...Object.entries(dims).map(([name, value]) => `${name}${value}`)].join(' ');
}

/** Undefined where the text is no such key. */
export function parseShapeKey(key: string): { kernel: string; dims: Record<string, number> } | undefined {
  const [kernel = '', ...parts] = key.split(' ');
  const dims: Record<string, number> = {};
  for (const part of parts) {
    const [, name, value] = /^([a-z]+)(\d+)$/.exec(part) ?? [];
    if (name === undefined) return undefined;
    dims[name] = Number(value);
  }
  return { kernel, dims };
}

/**
 * A length as shapes are told apart by: exact up to 32, then rounded up to four steps in an octave. What is fastest for
 * 1000 rows is so for 1010.
 */
export function lengthClass(length: number): number {
  if (length <= 32) return length;
  const step = 2 ** (Math.floor(Math.log2(length)) - 2);
  return Math.ceil(length / step) * step;
}
