import { InputError } from '../graph/errors.ts';

/** Checks on parsed JSON. `where` opens the message: the file and the field, as in `a.wgslim: node 3`. */

export function expectArray(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw new InputError(`${where} is not a list.`);
  return value;
}

export function expectObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${where} is not an object.`);
  }
  return value as Record<string, unknown>;
}

export function expectString(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new InputError(`${where} is not a string.`);
  return value;
}

export function expectInteger(value: unknown, minimum: number, maximum: number, where: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < minimum || (value as number) > maximum) {
    throw new InputError(`${where} is ${show(value)}, not a whole number from ${minimum} to ${maximum}.`);
  }
  return value as number;
}

/** Parses JSON; a syntax error becomes an InputError. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError(`${where} is not valid JSON.`);
  }
}

/** A short form of an unexpected value for a message: never longer than a line. */
export function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
