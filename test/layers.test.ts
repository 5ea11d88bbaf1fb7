import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');

/** The layers from the bottom; a file may import its own layer and those further down. */
const LAYERS = ['gpu', 'kernels', 'graph', 'engine', 'format onnx', 'runtime', 'train', 'compress', 'cli report'];
const height = new Map(LAYERS.flatMap((names, level) => names.split(' ').map((name) => [name, level] as const)));
/** Beyond the order: neighbours on one level, and what the runtime of a web page must not pull in. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['runtime', 'onnx'],
  ['format', 'onnx'],
  ['onnx', 'format'],
];
/** Files that a bundler for the web never sees. */
const NODE_ONLY = /(^|\/)node\.ts$|\.node\.ts$|\/node\/|^cli\/|^index\.ts$/;
/** What a page imports. */
const WEB_ENTRIES = ['web.ts', 'gpu/index.ts', 'kernels/index.ts'];

/** Module names in import, export … from and import() — types too: a type that points upward couples as well. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const pattern = /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g;
  return [...code.matchAll(pattern)].map(([, from, bare]) => (from ?? bare) as string);
}

interface Module {
  path: string;
  layer: string | undefined;
  locals: string[];
  packages: string[];
}

function readModules(): Map<string, Module> {
  const modules = new Map<string, Module>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const file = join(entry.parentPath, entry.name);
    const path = relative(root, file).split(sep).join('/');
    const names = importsOf(readFileSync(file, 'utf8'));
    const local = (name: string) =>
      relative(root, join(dirname(file), name))
        .split(sep)
        .join('/');
    modules.set(path, {
      path,
      layer: path.includes('/') ? path.split('/')[0] : undefined,
      locals: names.filter((name) => name.startsWith('.')).map(local),
      packages: names.filter((name) => !name.startsWith('.')),
    });
  }
  return modules;
}

/** Faults of one import, as sentences. */
function judgeImport(from: string, to: string): string[] {
  const [source, target] = [from, to].map((path) => (path.includes('/') ? path.split('/')[0]! : undefined));
  if (source === undefined) return []; // entry modules gather whatever they export
  if (target === undefined) return [`${from} imports the entry module ${to}`];
  const faults: string[] = [];
  if (source !== target && height.get(target)! >= height.get(source)!) faults.push(`${from} imports upward: ${to}`);
  if (FORBIDDEN.some(([a, b]) => a === source && b === target)) faults.push(`${from} must not import ${to}`);
  return [...new Set(faults)];
}

/** Every cycle once, as the path that closes it. */
function findCycles(modules: ReadonlyMap<string, Module>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path].join(' > '));
      return;
    }
    if (done.has(path)) return;
    for (const next of modules.get(path)?.locals ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of modules.keys()) visit(path, []);
  return cycles;
}

function reachable(modules: ReadonlyMap<string, Module>, entry: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const next of modules.get(path)?.locals ?? []) visit(next);
  };
  visit(entry);
  return seen;
}

const modules = readModules();

describe('layers of src/', () => {
  it('has only folders that are layers', () => {
    const unknown = [...modules.values()].filter(({ layer }) => layer !== undefined && !height.has(layer));
    expect(unknown.map(({ path }) => path)).toEqual([]);
  });

  it('imports only what exists', () => {
    const missing = [...modules.values()].flatMap(({ path, locals }) =>
      locals.filter((name) => !modules.has(name)).map((name) => `${path} imports ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('imports only downward', () => {
    const faults = [...modules.values()].flatMap(({ path, locals }) => locals.flatMap((to) => judgeImport(path, to)));
    expect(faults).toEqual([]);
  });

  it('uses Node only in entry modules for Node', () => {
    const faults = [...modules.values()].filter(({ path, packages, locals }) => {
      if (NODE_ONLY.test(path)) return false;
      return packages.some((name) => name.startsWith('node:')) || locals.some((to) => NODE_ONLY.test(to));
    });
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it.each(WEB_ENTRIES)('keeps Node, training, compression and ONNX out of %s', (entry) => {
    expect(modules.has(entry)).toBe(true);
    const files = [...reachable(modules, entry)];
    const faults = files.filter((path) => /^(train|compress|onnx|cli)\//.test(path) || NODE_ONLY.test(path));
    expect(faults).toEqual([]);
    const packages = files.flatMap((path) => modules.get(path)?.packages ?? []);
    expect([...new Set(packages)]).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(findCycles(modules)).toEqual([]);
  });
});

describe('the rule itself', () => {
  it('sees every form of import', () => {
    const text = [
      "import a from './a.ts';",
      "import {\n  b,\n  c,\n} from './b.ts';",
      "import type { T } from './t.ts';",
      "export * from './e.ts';",
      "export { x } from './x.ts';",
      "import './s.ts';",
      "const m = await import('./m.ts');",
      "// import z from './z.ts';",
      "/** from './y.ts' */",
    ].join('\n');
    expect(importsOf(text)).toEqual(['./a.ts', './b.ts', './t.ts', './e.ts', './x.ts', './s.ts', './m.ts']);
  });

  it('refuses an upward import, a forbidden neighbour and an entry module', () => {
    expect(judgeImport('kernels/a.ts', 'engine/b.ts')).toHaveLength(1);
    expect(judgeImport('runtime/a.ts', 'onnx/b.ts')).toHaveLength(1);
    expect(judgeImport('format/a.ts', 'onnx/b.ts')).not.toEqual([]);
    expect(judgeImport('engine/a.ts', 'index.ts')).toHaveLength(1);
    expect(judgeImport('compress/a.ts', 'train/b.ts')).toEqual([]);
    expect(judgeImport('gpu/a.ts', 'gpu/b.ts')).toEqual([]);
  });

  it('finds a cycle', () => {
    const module = (path: string, ...locals: string[]): [string, Module] => [
      path,
      { path, layer: 'gpu', locals, packages: [] },
    ];
    expect(findCycles(new Map([module('a', 'b'), module('b', 'c'), module('c', 'b')]))).toEqual(['b > c > b']);
  });
});
