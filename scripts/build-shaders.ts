/**
 * Turns every `shaders/<group>/<name>.wgsl` into an export of `src/kernels/generated/<group>.ts`: the linked WGSL text and
 * its reflected interface as a type, so that a dispatch names its operands and the compiler refuses a wrong one. A group
 * is a module, so that texts which have much in common lie close enough to each other in a bundle to be compressed well,
 * and what a page fetches on demand is a group of its own. `shaders/common/` holds modules that are only imported. Nothing generated is committed.
 *
 * Usage: tsx scripts/build-shaders.ts
 */
import { deepStrictEqual } from 'node:assert';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { link } from 'wesl/core';
import type { MemberInfo, TypeInfo, VariableInfo } from 'wgsl_reflect/wgsl_reflect.module.js';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { reflect } from '../src/kernels/reflect.ts';
import { minifyWgsl } from './minifyWgsl.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const shaderRoot = join(root, 'shaders');
const outRoot = join(root, 'src', 'kernels', 'generated');

const sources: Record<string, string> = {};
for (const entry of readdirSync(shaderRoot, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.wgsl')) continue;
  const path = relative(shaderRoot, join(entry.parentPath, entry.name)).split(sep).join('/');
  sources[path] = readFileSync(join(shaderRoot, path), 'utf8');
}

const groups = new Map<string, string[]>();
let count = 0;
for (const path of Object.keys(sources).sort()) {
  if (path.startsWith('common/')) continue;
  try {
    const [group] = path.split('/') as [string];
    groups.set(group, [...(groups.get(group) ?? []), generate(path, await linked(path))]);
    count++;
  } catch (error) {
    console.error(`shaders/${path}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
// Files that did not change are left alone and stale ones go last: a test run beside the build must find its modules.
if (process.exitCode === undefined) {
  const written = new Set<string>();
  mkdirSync(outRoot, { recursive: true });
  for (const [group, declarations] of groups) {
    const file = join(outRoot, `${group}.ts`);
    const text = [
      `// Generated from shaders/${group}/ by scripts/build-shaders.ts.`,
      "import { reflect } from '../reflect.ts';",
      ...declarations,
    ].join('\n');
    written.add(file);
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  }
  for (const entry of readdirSync(outRoot, { withFileTypes: true })) {
    const path = join(outRoot, entry.name);
    if (!written.has(path)) rmSync(path, { recursive: true });
  }
}
console.log(`${count} shaders reflected`);

async function linked(path: string): Promise<string> {
  const text = sources[path];
  // A module without imports or conditions is valid WGSL as it stands; linking would only reformat it.
  if (!/^\s*import\s|@if\(/m.test(text)) return text;
  const result = await link({
    weslSrc: Object.fromEntries(Object.entries(sources).map(([key, value]) => [`./${key}`, value])),
    rootModuleName: `./${path}`,
    keepComments: false,
    sourceMap: false,
  });
  return result.dest;
}

function generate(path: string, code: string): string {
  // The reflection library parses neither `enable` of newer extensions nor subgroup types; it needs neither.
  const known = code.replace(/\bsubgroup_matrix_\w+<[^>]*>/g, 'u32').replace(/\b(subgroupMatrix\w+)<[^>]*>/g, '$1');
  const reflected = new WgslReflect(known.replace(/^\s*(enable|requires|diagnostic)[^;]*;/gm, ''));
  const entries = reflected.entry.compute;
  if (entries.length !== 1 || entries[0].name !== 'main')
    throw new Error('needs exactly one @compute entry named main');
  const variables = [...reflected.uniforms, ...reflected.storage].sort((a, b) => a.binding - b.binding);
  variables.forEach((variable, index) => {
    if (variable.group !== 0 || variable.binding !== index) {
      throw new Error(`binding of ${variable.name} must be @group(0) @binding(${index})`);
    }
  });
  const uniform = reflected.uniforms[0];
  if (reflected.uniforms.length > 1 || (uniform && (uniform.name !== 'args' || uniform.binding !== 0))) {
    throw new Error('the only uniform is `args` at binding 0');
  }
  // What a page reads out of the text has to be what wgsl_reflect finds.
  const { code: text, ...shader } = reflect(path.replace('.wgsl', ''), minifyWgsl(code));
  deepStrictEqual(
    { args: shader.args, bindings: shader.bindings },
    {
      args: uniform ? { size: uniform.size, fields: Object.fromEntries((uniform.members ?? []).map(field)) } : null,
      bindings: Object.fromEntries(
        reflected.storage.sort((a, b) => a.binding - b.binding).map((variable) => [variable.name, binding(variable)]),
      ),
    },
  );
  deepStrictEqual(
    [...Object.keys(shader.overrides), ...Object.keys(shader.aliases)].sort(),
    [...reflected.overrides, ...reflected.aliases].map(({ name }) => name).sort(),
  );
  const type = camel(path.split('/').at(-1)!.replace('.wgsl', ''));
  return [
    '',
    `interface ${type[0]!.toUpperCase()}${type.slice(1)} {`,
    ...Object.entries(shader).map(([key, value]) => `  readonly ${key}: ${JSON.stringify(value)};`),
    '  readonly code: string;',
    '}',
    `export const ${type}Shader = /* @__PURE__ */ reflect(`,
    `  ${JSON.stringify(shader.name)},`,
    `  ${JSON.stringify(text)},`,
    `) as ${type[0]!.toUpperCase()}${type.slice(1)};`,
    '',
  ].join('\n');
}

function field(member: MemberInfo) {
  if (!['u32', 'i32', 'f32'].includes(member.type.name)) throw new Error(`args.${member.name} must be u32, i32 or f32`);
  return [member.name, { offset: member.offset, type: member.type.name }] as const;
}

function binding(variable: VariableInfo) {
  const access = variable.access === 'read_write' ? 'read_write' : 'read';
  const element = (variable.type.isArray ? (variable.format as TypeInfo) : variable.type) as TypeInfo;
  return {
    binding: variable.binding,
    access,
    element: scalarOf(element),
    width: widthOf(element),
    array: variable.type.isArray,
  };
}

/** Scalar type below vectors, arrays and atomics: the type that the operand's buffer must hold. */
function scalarOf(type: TypeInfo): string {
  const name = type.getTypeName();
  const match = /(?:^|<|vec[234])(f16|f32|u32|i32|f|u|i|h)>*$/.exec(name);
  if (!match) throw new Error(`cannot read the element type of ${name}`);
  return { f: 'f32', u: 'u32', i: 'i32', h: 'f16' }[match[1]] ?? match[1];
}

function widthOf(type: TypeInfo): number {
  return Number(/vec([234])/.exec(type.getTypeName())?.[1] ?? 1);
}

function camel(name: string): string {
  return name.replace(/[_-](\w)/g, (_, letter: string) => letter.toUpperCase());
}
