import type { ParameterStore } from '../engine/parameters.ts';
import { fullMask } from '../kernels/arena.ts';

/** One bit per element of the weights' arena, 1 where it is kept; padding and unmasked parameters are kept. */
export function packMasks(store: ParameterStore, masks: ReadonlyMap<string, Uint8Array>): Uint32Array<ArrayBuffer> {
  const bits = fullMask(store.elements('weights'));
  for (const [name, mask] of masks) {
    const parameter = store.trained.find((known) => known.name === name);
    if (!parameter) throw new Error(`There is no parameter ${name} to mask`);
    if (mask.length !== parameter.elements)
      throw new Error(`The mask of ${name} has ${mask.length} elements, not ${parameter.elements}`);
    for (let i = 0; i < mask.length; i++) {
      const at = parameter.offset + i;
      if (!mask[i]) bits[at >>> 5] &= ~(1 << (at & 31));
    }
  }
  return bits;
}

/** The inverse, for the parameters that have a bit at 0 and those in `names`. */
export function unpackMasks(
  store: ParameterStore,
  bits: Uint32Array,
  names: Iterable<string> = [],
): Map<string, Uint8Array> {
  const wanted = new Set(names);
  const masks = new Map<string, Uint8Array>();
  for (const { name, offset, elements } of store.trained) {
    const mask = new Uint8Array(elements);
    let pruned = false;
    for (let i = 0; i < elements; i++) {
      const at = offset + i;
      mask[i] = (bits[at >>> 5] >>> (at & 31)) & 1;
      pruned ||= mask[i] === 0;
    }
    if (pruned || wanted.has(name)) masks.set(name, mask);
  }
  return masks;
}
