import { detectRaces, WgslDebug } from 'wgsl_reflect/wgsl_reflect.module.js';
import { encodeArgs } from '../../src/kernels/kernel.ts';
import type { Shader } from '../../src/kernels/shader.ts';
import { specialise } from '../../src/kernels/specialise.ts';

/**
 * Small workgroups and tiles, by the names that our shaders give them: eight invocations, four to a line of data. The
 * detector interprets the shader and compares every pair of accesses.
 */
const SMALL: Readonly<Record<string, number>> = { WG: 8, LANES: 4, ROWS: 2, TM: 2, TN: 2, K_STEP: 2, VECTORS: 16 };

export interface RaceSettings {
  /** Values of arguments; 5 for every integer (more than one round of every loop) and 1 for every float otherwise. */
  args?: Readonly<Record<string, number>>;
  tunables?: Readonly<Record<string, number | boolean | string>>;
  /** What the buffers of integers begin with; 1 everywhere otherwise. */
  words?: Readonly<Record<string, readonly number[]>>;
  /** Changes the code before it is looked at, to prove that a mistake would be found. */
  mutate?: (code: string) => string;
}

/** Unordered accesses to workgroup memory, and barriers that not every invocation reaches, one message each. */
export function findRaces(
  shader: Shader,
  { args = {}, tunables = {}, words = {}, mutate = (code) => code }: RaceSettings = {},
) {
  const declared = { ...shader.constants, ...shader.overrides };
  const small = Object.fromEntries(
    Object.entries(SMALL).filter(([name]) => declared[name as keyof typeof declared]?.type === 'u32'),
  );
  const program = specialise(shader, { ...small, ...tunables });
  let code = program.code;
  for (const name of Object.keys(shader.overrides)) {
    code = code.replace(new RegExp(`^override\\s+(${name}\\s*:\\s*\\w+)\\s*(=[^;]+)?;`, 'm'), (_, head, value) => {
      const given = program.overrides[name];
      return `const ${head} ${given === undefined ? value : `= ${given}`};`;
    });
  }
  // The detector runs the first statement of a block together with the block, and would run through a barrier there.
  code = constantsFirst(mutate(code)).replace(
    /\{(\s*)workgroupBarrier/g,
    '{$1var first_statement = 0u; workgroupBarrier',
  );

  const bindings: Record<number, unknown> = {};
  if (shader.args) {
    const values = Object.entries(shader.args.fields).map(([name, { type }]) => [name, type === 'f32' ? 1 : 5]);
    bindings[0] = { uniform: encodeArgs(shader, { ...Object.fromEntries(values), ...args }) };
  }
  for (const [name, { binding, element }] of Object.entries(shader.bindings)) {
    const data = (element === 'f32' ? new Float32Array(4096) : new Uint32Array(4096)).fill(1);
    data.set(words[name] ?? []);
    bindings[binding] = data.buffer;
  }

  const { races, errors } = interpretingCallsAtOnce(functionsWithBarriers(code), () =>
    detectRaces(code, 'main', [1], { 0: bindings }),
  );
  const inWorkgroupMemory = races.filter(({ bufferId }) => !(bufferId in shader.bindings));
  return [...new Set([...inWorkgroupMemory.map(({ message }) => message), ...errors])];
}

/** Constants may be named before they are declared; the detector evaluates them in the order that it finds. */
function constantsFirst(code: string): string {
  const pattern = /^const\s+(\w+)[^;]*;\n?/gm;
  const waiting = new Map([...code.matchAll(pattern)].map(([text, name]) => [name!, text!]));
  const ordered: string[] = [];
  while (waiting.size > 0) {
    const before = waiting.size;
    for (const [name, text] of waiting) {
      const names = text.match(/\w+/g)!.slice(2);
      if (names.some((other) => other !== name && waiting.has(other))) continue;
      ordered.push(text.endsWith('\n') ? text : `${text}\n`);
      waiting.delete(name);
    }
    if (waiting.size === before) throw new Error(`Constants ${[...waiting.keys()]} name each other`);
  }
  return ordered.join('') + code.replace(pattern, '');
}

/** Names of the functions that contain a barrier, themselves or in what they call. */
function functionsWithBarriers(code: string): Set<string> {
  const bodies = code.split(/^(?=(?:@compute[^\n]*\s)?fn )/m).flatMap((body) => {
    const name = /^(?:@compute[^\n]*\s)?fn\s+(\w+)/.exec(body)?.[1];
    return name ? [[name, body] as const] : [];
  });
  const found = new Set<string>();
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const [name, body] of bodies) {
      const calls = [...body.matchAll(/\b(\w+)\s*\(/g)].map((match) => match[1]!);
      if (calls.some((call) => call === 'workgroupBarrier' || found.has(call))) found.add(name);
    }
  }
  return found;
}

/**
 * The detector steps into called functions and keeps what they return in one place for all invocations, so that each
 * sees the last one's index. Functions without barriers need no stepping: evaluated at once, they are right.
 */
function interpretingCallsAtOnce<T>(stepped: ReadonlySet<string>, run: () => T): T {
  type Call = { name: string };
  const prototype = WgslDebug.prototype as unknown as {
    _collectFunctionCalls(node: unknown, calls: Call[]): void;
  };
  const original = prototype._collectFunctionCalls;
  prototype._collectFunctionCalls = function (node, calls) {
    const all: Call[] = [];
    original.call(this, node, all);
    // The original calls itself for parts of the expression, and so comes by here several times.
    for (const call of all) if (stepped.has(call.name) && !calls.includes(call)) calls.push(call);
  };
  try {
    return run();
  } finally {
    prototype._collectFunctionCalls = original;
  }
}
