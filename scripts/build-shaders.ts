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

/** Characters from which on a function is worth a constant of its own. */
const SHARED_LENGTH = 60;

const sources: Record<string, string> = {};
for (const entry of readdirSync(shaderRoot, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.wgsl')) continue;
  const path = relative(shaderRoot, join(entry.parentPath, entry.name)).split(sep).join('/');
  sources[path] = readFileSync(join(shaderRoot, path), 'utf8');
}

/** The text of every shader by its path. */
const texts = new Map<string, string>();
for (const path of Object.keys(sources).sort()) {
  if (path.startsWith('common/')) continue;
  try {
    texts.set(path, minifyWgsl(await linked(path)));
  } catch (error) {
    fail(path, error);
  }
}
const shared = sharedDeclarations();
const groups = new Map<string, { declarations: string[]; imports: Set<string> }>();
for (const [path, text] of texts) {
  try {
    const [name] = path.split('/') as [string];
    const group = groups.get(name) ?? { declarations: [], imports: new Set() };
    groups.set(name, group);
    group.declarations.push(generate(path, text, group.imports));
  } catch (error) {
    fail(path, error);
  }
}
// Files that did not change are left alone and stale ones go last: a test run beside the build must find its modules.
if (process.exitCode === undefined) {
  const written = new Set<string>();
  mkdirSync(join(outRoot, 'common'), { recursive: true });
  const write = (name: string, from: string, lines: readonly string[]) => {
    const file = join(outRoot, `${name}.ts`);
    const text = [`// Generated from shaders/${from} by scripts/build-shaders.ts.`, ...lines].join('\n');
    written.add(file);
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  };
  for (const [group, { declarations, imports }] of groups) {
    const modules = [...imports].map((name) => `import * as common_${name} from './common/${name}.ts';`);
    write(group, `${group}/`, ["import { reflect } from '../reflect.ts';", ...modules, ...declarations]);
  }
  for (const module of new Set([...shared.values()].map(({ module }) => module))) {
    const own = [...shared].filter(([, place]) => place.module === module);
    const lines = own.map(([text, { name }]) => `export const ${name} = ${JSON.stringify(text)};`);
    write(`common/${module}`, `common/${module}.wgsl`, lines);
  }
  for (const entry of readdirSync(outRoot, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !written.has(path)) rmSync(path);
  }
}
console.log(`${texts.size} shaders reflected`);

function fail(path: string, error: unknown): void {
  console.error(`shaders/${path}: ${(error as Error).message}`);
  process.exitCode = 1;
}

/**
 * Functions of `shaders/common/` that stand in shaders of several groups, by their text: each becomes a constant of a module
 * that is named after its file, because compression of a bundle finds a repetition only where it is near.
 */
function sharedDeclarations(): Map<string, { module: string; name: string }> {
  const groupsOf = new Map<string, Set<string>>();
  for (const [path, text] of texts) {
    for (const line of text.split('\n')) {
      groupsOf.set(line, (groupsOf.get(line) ?? new Set()).add(path.split('/')[0]!));
    }
  }
  const found = new Map<string, { module: string; name: string }>();
  for (const [path, source] of Object.entries(sources)) {
    const file = /^common\/(\w+)\.wgsl$/.exec(path)?.[1];
    if (!file) continue;
    const own = new Set([...source.matchAll(/^fn (\w+)/gm)].map(([, name]) => name!));
    for (const [line, groups] of groupsOf) {
      const name = /^fn (\w+)/.exec(line)?.[1];
      if (name && own.has(name) && groups.size > 1 && line.length >= SHARED_LENGTH && !found.has(line)) {
        // Two shaders may each have a function of that name, and the linker renames one that meets another.
        const others = [...found.values()].filter((other) => other.module === file && other.name.startsWith(name));
        found.set(line, { module: file, name: others.length > 0 ? `${name}_${others.length}` : name });
      }
    }
  }
  return found;
}

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

function generate(path: string, code: string, imports: Set<string>): string {
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
  const { code: text, ...shader } = reflect(path.replace('.wgsl', ''), [code]);
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
  const parts: string[] = [];
  let plain: string[] = [];
  const flush = () => {
    if (plain.length > 0) parts.push(JSON.stringify(plain.join('\n')));
    plain = [];
  };
  for (const line of text.split('\n')) {
    const place = shared.get(line);
    if (!place) {
      plain.push(line);
      continue;
    }
    flush();
    imports.add(place.module);
    parts.push(`common_${place.module}.${place.name}`);
  }
  flush();
  return [
    '',
    `export interface ${type[0]!.toUpperCase()}${type.slice(1)} {`,
    ...Object.entries(shader).map(([key, value]) => `  readonly ${key}: ${JSON.stringify(value)};`),
    '  readonly code: string;',
    '}',
    `export const ${type}Shader = /* @__PURE__ */ reflect(`,
    `  ${JSON.stringify(shader.name)},`,
    `  [${parts.join(', ')}],`,
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
