/** Keys of tables: `conv g1 o64 i64`, the kernel and the numbers that its speed depends on. */
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
