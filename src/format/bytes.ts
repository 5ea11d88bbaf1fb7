import { bytesPerElement } from '../graph/tensor.ts';
import type { DType } from '../graph/types.ts';

/** The bytes of a typed array in host order, which is little endian wherever WebGPU runs. Not a copy. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function isDType(name: string): name is DType {
  return Object.hasOwn(bytesPerElement, name);
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
