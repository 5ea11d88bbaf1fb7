/** A WGSL file of somebody's own: its compute entry and what it binds, by reflection. */
import type { Gpu } from '../../gpu/gpu.ts';
import { InputError } from '../../graph/errors.ts';

export type ScalarType = 'f32' | 'f16' | 'u32' | 'i32';

/** A scalar inside a binding, and where it lies. */
export interface Field {
  /** `n`, or `offset[1]` for an element of a vector or matrix; '' for a binding that is one scalar. */
  name: string;
  type: ScalarType;
  /** Bytes from the start of the binding, or of an element of its runtime-sized array. */
  offset: number;
}

export interface ShaderBinding {
  name: string;
  binding: number;
  access: 'uniform' | 'read' | 'read_write';
  /** Before the runtime-sized array, or of all of it where there is none. */
  fixedBytes: number;
  fixed: Field[];
  /** Of one element of the runtime-sized array; 0 where there is none. */
  stride: number;
  element: Field[];
  /** Where it is declared. */
  line: number;
}

export interface ShaderFile {
  path: string;
  code: string;
  entry: string;
  workgroupSize: readonly [number, number, number];
  /** Bytes of `var<workgroup>` that the module declares. */
  workgroupBytes: number;
  bindings: ShaderBinding[];
  overrides: Readonly<Record<string, number>>;
}

/** Numbers that an entry leaves out are filled up with uniform buffers, of which every adapter has 12. */
const MOST_BINDINGS = 12;

type Reflection = typeof import('wgsl_reflect/wgsl_reflect.module.js');
type TypeInfo = import('wgsl_reflect/wgsl_reflect.module.js').TypeInfo;
type VariableInfo = import('wgsl_reflect/wgsl_reflect.module.js').VariableInfo;

export async function loadReflection(): Promise<Reflection> {
  try {
    return await import('wgsl_reflect/wgsl_reflect.module.js');
  } catch {
    throw new Error('Reading WGSL needs the package wgsl_reflect: npm install wgsl_reflect');
  }
}

/** @throws InputError naming file and line of the first thing that the compiler objects to */
export async function checkCompiles(gpu: Gpu, path: string, code: string): Promise<void> {
  gpu.device.pushErrorScope('validation');
  const module = gpu.device.createShaderModule({ code, label: path });
  const { messages } = await module.getCompilationInfo();
  await gpu.device.popErrorScope();
  const error = messages.find(({ type }) => type === 'error');
  if (error) throw new InputError(`${path}:${error.lineNum}:${error.linePos}: ${error.message.split('\n')[0]}`);
}

/**
 * Reads interface and sizes out of a module that compiles.
 * @param options.entry where the module has several compute entries
 * @throws InputError naming the file and the line
 */
export async function reflectShader(
  path: string,
  code: string,
  options: { entry?: string | undefined; overrides: Readonly<Record<string, number>> },
): Promise<ShaderFile> {
  const { WgslReflect, WgslParser, Var } = await loadReflection();
  const settled = settleOverrides(path, code, options.overrides);
  const reflected = new WgslReflect();
  let workgroupBytes = 0;
  try {
    const module = new WgslParser().parse(settled);
    reflected.updateAST(module);
    for (const node of module) {
      if (node instanceof Var && node.storage === 'workgroup') workgroupBytes += reflected.getTypeInfo(node.type!).size;
    }
  } catch (error) {
    throw new InputError(`${path}: its interface cannot be read (${(error as Error).message})`);
  }
  const entries = reflected.entry.compute;
  const found = options.entry === undefined ? entries[0] : entries.find(({ name }) => name === options.entry);
  const names = entries.map(({ name }) => name).join(', ');
  if (!found) {
    const wanted = options.entry === undefined ? 'no @compute entry' : `no @compute entry '${options.entry}'`;
    throw new InputError(`${path}: there is ${wanted}${names ? `; it has ${names}` : ''}`);
  }
  if (options.entry === undefined && entries.length > 1) {
    throw new InputError(`${path}: there are several @compute entries (${names}); name one by --entry`);
  }
  const [x, y, z] = found.workgroupSize ?? [1, 1, 1];
  const bindings = found.resources
    .map((variable) => readBinding(path, lineOf(code, variable.name), variable))
    .sort((a, b) => a.binding - b.binding);
  return {
    path,
    code,
    entry: found.name,
    workgroupSize: [x, y, z],
    workgroupBytes,
    bindings,
    overrides: options.overrides,
  };
}

/** Makes constants of overrides, with these values or their own, so that sizes which depend on them come out right. */
function settleOverrides(path: string, code: string, overrides: Readonly<Record<string, number>>): string {
  let settled = withoutDirectives(code);
  for (const [name, value] of Object.entries(overrides)) {
    const declaration = new RegExp(`(override\\s+${name}\\s*(?::\\s*\\w+)?)\\s*(?:=[^;]*)?;`);
    if (!declaration.test(settled)) throw new InputError(`--override ${name}: ${path} declares no override '${name}'`);
    settled = settled.replace(declaration, `$1 = ${value};`);
  }
  return settled.replace(/(?:@id\([^)]*\)\s*)?\boverride(\s+\w+\s*(?::\s*\w+)?\s*=)/g, 'const$1');
}

/** The reflection library neither parses all of them nor needs them. Lines stay where they are. */
export function withoutDirectives(code: string): string {
  return code.replace(/^[ \t]*(enable|requires|diagnostic)\b[^;]*;/gm, '');
}

function lineOf(code: string, variable: string): number {
  const at = code.search(new RegExp(`\\bvar\\s*(<[^>]*>)?\\s*${variable}\\b`));
  return at < 0 ? 1 : code.slice(0, at).split('\n').length;
}

function readBinding(path: string, line: number, variable: VariableInfo): ShaderBinding {
  const { name, group, binding } = variable;
  const where = `${path}:${line}`;
  const [uniform, storage] = [0, 1];
  const kind: number = variable.resourceType;
  if (kind !== uniform && kind !== storage) {
    throw new InputError(`${where}: '${name}' is neither a uniform nor a storage buffer; only those can be generated`);
  }
  if (group !== 0 || binding >= MOST_BINDINGS) {
    throw new InputError(
      `${where}: '${name}' is @group(${group}) @binding(${binding}); only group 0 and numbers below ${MOST_BINDINGS} can be bound`,
    );
  }
  const layout = layoutOf(where, name, variable.type);
  const access = kind === uniform ? 'uniform' : variable.access === 'read_write' ? 'read_write' : 'read';
  return { name, binding, access, line, ...layout };
}

function layoutOf(where: string, name: string, type: TypeInfo) {
  const array = type as TypeInfo & { count?: number; stride?: number; format?: TypeInfo };
  if (type.isArray && array.count === 0) {
    return { fixedBytes: 0, fixed: [], stride: array.stride!, element: fieldsOf(where, name, array.format!, '', 0) };
  }
  const members = (type as TypeInfo & { members?: { name: string; type: TypeInfo; offset: number }[] }).members;
  const last = members?.at(-1);
  const tail = last?.type as (TypeInfo & { count?: number; stride?: number; format?: TypeInfo }) | undefined;
  if (members && last && tail?.isArray && tail.count === 0) {
    return {
      fixedBytes: last.offset,
      fixed: members.slice(0, -1).flatMap((member) => fieldsOf(where, name, member.type, member.name, member.offset)),
      stride: tail.stride!,
      element: fieldsOf(where, name, tail.format!, '', 0),
    };
  }
  return { fixedBytes: type.size, fixed: fieldsOf(where, name, type, '', 0), stride: 0, element: [] };
}

const SHORT: Readonly<Record<string, ScalarType>> = { f: 'f32', h: 'f16', u: 'u32', i: 'i32' };

/** All scalars of a type, in order. A large array of fixed size counts through its elements. */
function fieldsOf(where: string, binding: string, type: TypeInfo, name: string, offset: number): Field[] {
  const text = type.getTypeName().replace(/\s/g, '');
  const inner = /^atomic<(\w+)>$/.exec(text)?.[1] ?? text;
  if (inner === 'f32' || inner === 'f16' || inner === 'u32' || inner === 'i32') return [{ name, type: inner, offset }];
  const struct = type as TypeInfo & { members?: { name: string; type: TypeInfo; offset: number }[] };
  if (type.isStruct && struct.members) {
    return struct.members.flatMap((member) =>
      fieldsOf(
        where,
        binding,
        member.type,
        name === '' ? member.name : `${name}.${member.name}`,
        offset + member.offset,
      ),
    );
  }
  const array = type as TypeInfo & { count?: number; stride?: number; format?: TypeInfo };
  if (type.isArray && array.count && array.format) {
    const one = fieldsOf(where, binding, array.format, '', 0);
    return Array.from({ length: array.count }, (_, i) =>
      one.map((field) => ({
        name: `${name}[${i}]${field.name === '' || field.name.startsWith('[') ? '' : '.'}${field.name}`,
        type: field.type,
        offset: offset + i * array.stride! + field.offset,
      })),
    ).flat();
  }
  const shape = /^(?:vec([234])|mat([234])x([234]))(?:<(\w+)>|([fhui]))$/.exec(inner);
  const scalar = shape && (SHORT[shape[5] ?? ''] ?? (shape[4] as ScalarType));
  if (!shape || (scalar !== 'f32' && scalar !== 'f16' && scalar !== 'u32' && scalar !== 'i32')) {
    throw new InputError(`${where}: '${binding}' holds ${text}, for which no contents can be generated`);
  }
  const size = scalar === 'f16' ? 2 : 4;
  const columns = Number(shape[2] ?? 1);
  const rows = Number(shape[1] ?? shape[3]);
  // A column of three is as far from the next as one of four.
  const column = (rows === 3 ? 4 : rows) * size;
  return Array.from({ length: columns * rows }, (_, i) => ({
    name: `${name}[${i}]`,
    type: scalar,
    offset: offset + Math.floor(i / rows) * column + (i % rows) * size,
  }));
}
