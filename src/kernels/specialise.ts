import type { Program } from '../gpu/program.ts';
import type { Shader } from './shader.ts';

/**
 * Settles a shader's tunables: `const` and `alias` declarations are rewritten by name (an alias set to a half-precision
 * type enables `f16`), `override`s are passed on to the pipeline. A name that the shader does not declare is an error,
 * never ignored.
 * @param immediateBytes size of the arguments where they come with the dispatch (`var<immediate>`) rather than in a
 *   uniform buffer; 0 for the latter
 */
export function specialise(
  shader: Shader,
  tunables: Readonly<Record<string, number | boolean | string | undefined>> = {},
  immediateBytes = 0,
): Program {
  let { code } = shader;
  const overrides: Record<string, number> = {};
  let usesHalf = false;
  for (const [name, value] of Object.entries(tunables)) {
    if (value === undefined) continue;
    if (name in shader.overrides) overrides[name] = Number(value);
    else if (name in shader.constants) code = setConstant(code, shader, name, value);
    else if (name in shader.aliases) {
      code = code.replace(new RegExp(`^alias\\s+${name}\\s*=[^;]*;`, 'm'), `alias ${name} = ${value};`);
      usesHalf ||= HALF.test(String(value));
    } else throw new Error(`Shader ${shader.name} declares no tunable ${name}`);
  }
  // A module must name the extension before it names the type; its own text is valid without.
  if (usesHalf && !shader.features.includes('f16')) code = `enable f16;\n${code}`;
  const bindings: Program['bindings'][number][] = shader.args ? [immediateBytes > 0 ? 'immediate' : 'uniform'] : [];
  for (const { binding, access } of Object.values(shader.bindings)) bindings[binding] = access;
  if (immediateBytes === 0) return { name: shader.name, code, overrides, bindings };
  code = `requires immediate_address_space;\n${code.replace(UNIFORM, 'var<immediate> args:')}`;
  return { name: shader.name, code, overrides, bindings, immediateBytes };
}

const HALF = /^(f16|vec[234](h|<f16>))$/;
const UNIFORM = /@group\(0\)\s*@binding\(0\)\s*var<uniform>\s*args\s*:/;

function setConstant(code: string, shader: Shader, name: string, value: number | boolean | string): string {
  const { type } = shader.constants[name];
  const literal = type === 'u32' ? `${value}u` : type === 'bool' ? String(Boolean(value)) : String(value);
  return code.replace(new RegExp(`^const\\s+${name}\\s*:[^;]*;`, 'm'), `const ${name}: ${type} = ${literal};`);
}

/** The value a tunable will have: the variant's, or else the file's own. */
export function tunableValue(shader: Shader, tunables: Readonly<Record<string, unknown>>, name: string): number {
  const given = tunables[name];
  if (given !== undefined) return Number(given);
  const text = shader.overrides[name]?.value ?? shader.constants[name]?.value;
  if (text === undefined) throw new Error(`Shader ${shader.name} declares no tunable ${name}`);
  const number = Number.parseFloat(text);
  if (Number.isNaN(number)) throw new Error(`Tunable ${name} of ${shader.name} is derived (${text}): give its value`);
  return number;
}
