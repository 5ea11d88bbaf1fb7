import { InputError } from '../graph/errors.ts';
import { expectArray, expectInteger, expectObject, expectString, parseJson } from './expect.ts';

/** What a file remembers beside the network. Everything is optional and must survive JSON. */
export interface ModelMeta {
  /** How an image becomes the input: the fields of `--preprocess`. Checked by whoever uses it. */
  preprocess?: unknown;
  classNames?: string[];
  /** Bytes of the float32 weights it was made from. */
  originalBytes?: number;
  /** Name of the recipe that made it. */
  recipe?: string;
  /** Anything else (accuracy measured, tool version, …). */
  [key: string]: unknown;
}

export function readMeta(text: string, where: string): ModelMeta {
  const meta = expectObject(parseJson(text, where), where);
  if (meta.classNames !== undefined) {
    const names = expectArray(meta.classNames, `${where}: classNames`);
    for (const name of names) expectString(name, `${where}: an element of classNames`);
  }
  if (meta.originalBytes !== undefined) {
    expectInteger(meta.originalBytes, 0, Number.MAX_SAFE_INTEGER, `${where}: originalBytes`);
  }
  if (meta.recipe !== undefined) expectString(meta.recipe, `${where}: recipe`);
  if (Object.hasOwn(meta, '__proto__')) throw new InputError(`${where} has the key __proto__.`);
  return meta;
}
