import { numberToFloat16 } from './float16.ts';

/** Binary16 values, two per word. */
export function halfWords(values: Float32Array): Uint32Array {
  const halves = new Uint16Array(2 * Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++) halves[i] = numberToFloat16(values[i]!);
  return new Uint32Array(halves.buffer);
}
