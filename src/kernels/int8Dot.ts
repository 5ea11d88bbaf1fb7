import type { Capabilities } from '../gpu/capabilities.ts';
import type { Shader } from './shader.ts';

const CALL = /return\s+dot4I8Packed\(a,\s*b\);/;
const bytesOf = (word: string) => `((vec4i(bitcast<i32>(${word})) << vec4u(24, 16, 8, 0)) >> vec4u(24))`;
const PRODUCTS = `let p = ${bytesOf('a')} * ${bytesOf('b')}; return p.x + p.y + p.z + p.w;`;

/**
 * The shader itself, or, where the language of the device has no `dot4I8Packed`, its text with the four products written
 * out: a name that the language lacks may not even stand in a branch that is never taken.
 */
export function withDot<S extends Shader>(shader: S, { packedDot }: Pick<Capabilities, 'packedDot'>): S {
  if (packedDot) return shader;
  if (!CALL.test(shader.code)) throw new Error(`Shader ${shader.name} has no packed product to replace`);
  return { ...shader, code: shader.code.replace(CALL, PRODUCTS) };
}
