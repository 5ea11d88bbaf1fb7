import { InputError } from './errors.ts';
import type { Node, Tensor } from './types.ts';

/** How messages name a node. */
export function describe(node: Node): string {
  return `node '${node.name}' (${node.op})`;
}

export function intAttribute(node: Node, name: string, fallback?: number): number {
  const value = numberAttribute(node, name, fallback);
  if (!Number.isSafeInteger(value)) {
    throw new InputError(`${describe(node)} has ${name} = ${value}, which must be an integer`);
  }
  return value;
}

export function numberAttribute(node: Node, name: string, fallback?: number): number {
  const value = node.attributes[name] ?? fallback;
  if (value === undefined) throw new InputError(`${describe(node)} lacks the attribute ${name}`);
  if (typeof value !== 'number') throw new InputError(`${describe(node)} has an attribute ${name} that is no number`);
  return value;
}

/** Undefined where the node does not have the attribute. */
export function intsAttribute(node: Node, name: string, length?: number): readonly number[] | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'number' && Number.isSafeInteger(item))) {
    throw new InputError(`${describe(node)} has an attribute ${name} that is no list of integers`);
  }
  if (length !== undefined && value.length !== length) {
    throw new InputError(`${describe(node)} has ${value.length} values in ${name} where ${length} are needed`);
  }
  return value as readonly number[];
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const value = node.attributes[name] ?? fallback;
  if (typeof value !== 'string') throw new InputError(`${describe(node)} has an attribute ${name} that is no string`);
  return value;
}

export function tensorAttribute(node: Node, name: string): Tensor | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || Array.isArray(value) || !('dtype' in value)) {
    throw new InputError(`${describe(node)} has an attribute ${name} that is no tensor`);
  }
  return value;
}
