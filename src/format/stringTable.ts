import { InputError } from '../graph/errors.ts';
import { expectArray, expectInteger } from './expect.ts';

/**
 * Every name of the graph, once, sorted and front-coded: a number before a string says how many UTF-16 code units of
 * the previous string it starts with. Names of exported networks share long prefixes (`/layer1/layer1.0/conv1/…`).
 */

/** A reader's memory stays within a small multiple of the JSON because a prefix is at most this long. */
const MAX_PREFIX = 255;
/** Below this a number and its comma are no shorter than the prefix. */
const MIN_PREFIX = 3;

/** Writer's side: from a string to its index. */
export interface StringIndex {
  indexOf(text: string): number;
  /** The front-coded list for the JSON. */
  readonly json: (string | number)[];
}

export function makeStringIndex(texts: Iterable<string>): StringIndex {
  // The default order compares UTF-16 code units: the same on every machine.
  const sorted = [...new Set(texts)].sort();
  const indices = new Map(sorted.map((text, i) => [text, i]));
  const json: (string | number)[] = [];
  sorted.forEach((text, i) => {
    const shared = i === 0 ? 0 : sharedPrefix(sorted[i - 1]!, text);
    if (shared >= MIN_PREFIX) json.push(shared, text.slice(shared));
    else json.push(text);
  });
  return {
    json,
    indexOf(text) {
      const index = indices.get(text);
      if (index === undefined) throw new Error(`${text} was not collected into the string table.`);
      return index;
    },
  };
}

function sharedPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length, MAX_PREFIX);
  let shared = 0;
  while (shared < most && a.charCodeAt(shared) === b.charCodeAt(shared)) shared++;
  // A surrogate pair stays whole, so that every string of the JSON is valid UTF-8.
  const endsInPair = shared > 0 && (a.charCodeAt(shared - 1) & 0xfc00) === 0xd800;
  return endsInPair ? shared - 1 : shared;
}

/** Reader's side: from an index, as yet unchecked, to the string. */
export interface StringTable {
  at(index: unknown, where: string): string;
}

export function readStringTable(json: unknown, where: string): StringTable {
  const strings: string[] = [];
  let shared = 0;
  let isPrefixed = false;
  for (const item of expectArray(json, where)) {
    if (typeof item === 'string') {
      strings.push((strings.at(-1) ?? '').slice(0, shared) + item);
      shared = 0;
      isPrefixed = false;
    } else {
      if (isPrefixed) throw new InputError(`${where} has two numbers in a row.`);
      const longest = Math.min(MAX_PREFIX, strings.at(-1)?.length ?? 0);
      shared = expectInteger(item, 0, longest, `${where}: a prefix length`);
      isPrefixed = true;
    }
  }
  if (isPrefixed) throw new InputError(`${where} ends with a number.`);
  return { at: (index, what) => strings[expectInteger(index, 0, strings.length - 1, `${what} (a string index)`)]! };
}
