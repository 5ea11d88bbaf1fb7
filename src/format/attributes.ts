import { InputError } from '../graph/errors.ts';
import type { Attribute, Tensor } from '../graph/types.ts';
import { expectArray, expectInteger, expectObject, expectString, show } from './expect.ts';
import type { StringIndex, StringTable } from './stringTable.ts';

/**
 * A node's attributes as a flat list: name, value, name, value, … with the names as indices of the string table. A
 * finite number, a list of them and a string stand for themselves; {"n": …} is a number or a list with elements that
 * JSON lacks ("inf", "-inf", "nan", "-0"), {"s": […]} a list of strings, {"t": i} tensor i of the file.
 */

/** Nodes share attribute lists; a short list keeps what a small file unfolds to small. */
export const MAX_ATTRIBUTES = 64;

const UNUSUAL: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: NaN, '-0': -0 };

export function attributesJson(
  attributes: Readonly<Record<string, Attribute>>,
  strings: StringIndex,
  addTensor: (tensor: Tensor) => number,
): unknown[] {
  return Object.entries(attributes).flatMap(([name, value]) => [
    strings.indexOf(name),
    attributeJson(value, addTensor),
  ]);
}

function attributeJson(value: Attribute, addTensor: (tensor: Tensor) => number): unknown {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return isUsual(value) ? value : { n: numberJson(value) };
  if (!Array.isArray(value)) return { t: addTensor(value as Tensor) };
  if (value.length > 0 && value.every((item) => typeof item === 'string')) return { s: value };
  return value.every(isUsual) ? value : { n: value.map(numberJson) };
}

function isUsual(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0);
}

function numberJson(value: number): number | string {
  if (isUsual(value)) return value;
  return Object.keys(UNUSUAL).find((name) => Object.is(UNUSUAL[name], value))!;
}

export function readAttributes(
  json: unknown,
  strings: StringTable,
  tensors: readonly Tensor[],
  where: string,
): Record<string, Attribute> {
  const list = expectArray(json, where);
  if (list.length % 2 !== 0) throw new InputError(`${where}: an attribute has no value.`);
  expectInteger(list.length / 2, 0, MAX_ATTRIBUTES, `${where}: the number of attributes`);
  const attributes: Record<string, Attribute> = {};
  for (let i = 0; i < list.length; i += 2) {
    const name = strings.at(list[i], `${where}: an attribute's name`);
    if (name === '__proto__' || Object.hasOwn(attributes, name)) {
      throw new InputError(`${where}: attribute ${show(name)} is repeated or not allowed.`);
    }
    attributes[name] = readAttribute(list[i + 1], tensors, `${where}: attribute ${show(name)}`);
  }
  return attributes;
}

function readAttribute(json: unknown, tensors: readonly Tensor[], where: string): Attribute {
  if (typeof json === 'string') return json;
  if (typeof json === 'number') return readNumber(json, where);
  if (Array.isArray(json)) {
    if (!json.every((item) => typeof item === 'number')) throw new InputError(`${where}: a list element is no number.`);
    return json.map((item) => readNumber(item, where));
  }
  const tagged = expectObject(json, where);
  const [[tag, value] = ['', undefined], ...rest] = Object.entries(tagged);
  if (rest.length === 0 && tag === 'n') {
    return Array.isArray(value) ? value.map((item) => readNumber(item, where)) : readNumber(value, where);
  }
  if (rest.length === 0 && tag === 's') return expectArray(value, where).map((item) => expectString(item, where));
  if (rest.length === 0 && tag === 't') {
    return tensors[expectInteger(value, 0, tensors.length - 1, `${where}: the tensor index`)]!;
  }
  throw new InputError(`${where} has an unknown form.`);
}

function readNumber(json: unknown, where: string): number {
  // JSON.parse makes Infinity of 1e999.
  if (typeof json === 'number' && Number.isFinite(json)) return json;
  if (typeof json === 'string' && Object.hasOwn(UNUSUAL, json)) return UNUSUAL[json]!;
  throw new InputError(`${where}: ${show(json)} is not a number.`);
}
