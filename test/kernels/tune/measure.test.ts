/** Tuning on whatever adapter there is; the faults are shaders of this file. */
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../../../src/gpu/gpu.ts';
import type { Recorder } from '../../../src/kernels/kernel.ts';
import type { Shader } from '../../../src/kernels/shader.ts';
import { softmaxLanes } from '../../../src/kernels/softmax.ts';
import { type TuneSubject, tuneSubject } from '../../../src/kernels/tune/measure.ts';
import { subjectOf } from '../../../src/kernels/tune/subjects.ts';
import { ChoiceListener, tableOf, tune } from '../../../src/kernels/tune/tune.ts';
import { seededValues, worstDifference } from '../../../src/kernels/tune/values.ts';
import { tunedChoices } from '../../../src/kernels/tune/variants.ts';
import { testGpu } from '../../support/gpu.ts';

const LENGTH = 4096;

/** out[i] = 2·x[i], or something else that `statement` says. */
function doubling(statement: string, work = 0) {
  return {
    name: 'test/double',
    features: [],
    workgroupSize: [64],
    args: null,
    bindings: {
      x: { binding: 0, access: 'read', element: 'f32', width: 1, array: true },
      out: { binding: 1, access: 'read_write', element: 'f32', width: 1, array: true },
    },
    constants: {},
    aliases: {},
    overrides: {},
    code: `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  var delay = x[i];
  for (var k = 0u; k < ${work}u; k++) { delay = delay * 0.999 + x[(i + k) % ${LENGTH}u]; }
  if (delay > 1e30) { out[i] = delay; }
  ${statement}
}`,
  } as const satisfies Shader;
}

const VARIANTS: Record<string, ReturnType<typeof doubling>> = {
  right: doubling('out[i] = 2.0 * x[i];', 400),
  alike: doubling('out[i] = x[i] + x[i];', 200),
  slow: doubling('out[i] = 2.0 * x[i];', 20_000),
  // Faster than the right ones, each in its own way.
  'wrong at one element': doubling(`out[i] = select(2.0, 2.001, i == 1234u) * x[i];`),
  'wrong everywhere': doubling('out[i] = 2.1 * x[i];'),
  'leaves the end out': doubling(`if (i < ${LENGTH - 64}u) { out[i] = 2.0 * x[i]; }`),
  'does not compile': doubling('out[i] = 2.0 * y[i];'),
};

const subject = (ids: string[]): TuneSubject => ({
  key: 'double',
  candidates: ids,
  inputs: [LENGTH],
  outputs: LENGTH,
  record(recorder, [x], out, id) {
    const shader = VARIANTS[id]!;
    const workgroups = [LENGTH / 64, 1, 1] as const;
    recorder.dispatch(shader, { operands: { x: x!, out }, args: undefined as never, workgroups });
  },
  expected: ([x], index) => 2 * x![index]!,
});

describe('eligibility', () => {
  it('catches variants that are fast and wrong, and says why', async () => {
    const gpu = await testGpu();
    const result = await tuneSubject(gpu, subject(Object.keys(VARIANTS)), { rounds: 5 });
    const why = new Map(result.excluded.map(({ id, why }) => [id, why]));
    expect([...why.keys()]).toEqual(Object.keys(VARIANTS).slice(3));
    expect(why.get('wrong at one element')).toMatch(/differs from the reference by .* at element 1234/);
    expect(why.get('wrong everywhere')).toMatch(/5\.0 % away from float64/);
    expect(why.get('leaves the end out')).toMatch(/NaN/);
    expect(why.get('does not compile')).toMatch(/does not run: Shader test\/double does not compile/);
    expect(['right', 'alike']).toContain(result.best);
    expect([...result.microseconds.keys()]).not.toContain('wrong everywhere');
  });

  it('stops what is hopeless, and keeps the rule’s choice as the measure', async () => {
    const result = await tuneSubject(await testGpu(), subject(['slow', 'alike']), { rounds: 4 });
    expect(result).toMatchObject({ rule: 'slow', best: 'alike', stopped: [], excluded: [] });
    expect(result.microseconds.get('slow')).toBeGreaterThan(result.microseconds.get('alike')!);
    const other = await tuneSubject(await testGpu(), subject(['alike', 'slow']), { rounds: 4 });
    expect(other).toMatchObject({ best: 'alike', stopped: ['slow'] });
  });

  it('has no best where nothing is right', async () => {
    const result = await tuneSubject(await testGpu(), subject(['wrong everywhere', 'does not compile']));
    expect(result.best).toBeUndefined();
    expect(result.excluded).toHaveLength(2);
    expect(tableOf([result]).size).toBe(0);
  });

  it('frees what it took', async () => {
    const gpu = await testGpu();
    await gpu.idle();
    const before = gpu.buffers.statistics.bytes;
    await tuneSubject(gpu, subject(['alike', 'wrong everywhere', 'does not compile']), { rounds: 2 });
    // Read-backs keep a few staging buffers.
    expect(gpu.buffers.statistics.bytes - before).toBeLessThanOrEqual(4 * (4 * LENGTH + 16));
  });
});

/** Sizes that are no multiple of any tile. */
const KEYS = [
  'product m5 n28 k40 b1 ar1 br1',
  'product m40 n10 k640 b1 ar0 br1',
  'product m1 n96 k80 b3 ar1 br0',
  'conv g1 o5 i3 kh3 kw3 oh7 ow9 n3 d1 s2 y1',
  'conv g1 o6 i3 kh3 kw3 oh7 ow9 n3 d1 s1 y1',
  'conv g6 o1 i1 kh3 kw3 oh5 ow6 n2 d2 s1 y1',
  'conv g2 o5 i4 kh1 kw1 oh4 ow4 n2 d1 s1 y1',
  'gradient g1 o5 i3 kh3 kw3 oh7 ow9 n3 d1 s2',
  'gradient g6 o1 i1 kh3 kw3 oh5 ow6 n2 d1 s1',
  'gradient g1 o4 i2 kh3 kw3 oh24 ow24 n1 d1 s1',
  'sum o5 n160 i0',
  'sum o3 n320 i1',
  'softmax l5 n160',
  'softmax l40 n10',
  // Enough of them for the highest tiles.
  'product m160 n160 k30 b1 ar1 br1',
  'conv g1 o5 i3 kh3 kw3 oh7 ow9 n3 d1 s2 y1 w4',
  'conv g1 o21 i5 kh3 kw3 oh8 ow8 n3 d1 s1 y1 w3 q1',
  'conv g6 o1 i1 kh3 kw3 oh5 ow6 n2 d1 s1 y1 w5',
  'conv g2 o5 i4 kh1 kw1 oh4 ow4 n2 d1 s1 y1 w4 t1',
  'conv g1 o9 i4 kh3 kw3 oh4 ow4 n2 d1 s1 y1 w16',
  'dense m1 o40 k28 w4',
  'dense m3 o40 k20 w1 q1',
  'dense m7 o80 k160 w7 q1 t1',
  'dense m40 o10 k28 w8',
  'int8product m1 o40 k28 w8',
  'int8product m7 o80 k160 w4',
  'int8product m40 o10 k31 w8',
  'int8conv g1 o5 i3 kh3 kw3 oh7 ow9 n3 d1 s2 w8',
  'int8conv g1 o21 i7 kh3 kw3 oh8 ow8 n3 d1 s1 w4',
  'int8conv g2 o8 i4 kh1 kw1 oh4 ow4 n2 d1 s1 w8',
];

const PACKED_IN_HALF = ['conv g1 o21 i5 kh3 kw3 oh8 ow8 n3 d1 s1 y1 w4', 'dense m40 o10 k28 w3'];

/** What a subject's kernel asks the table for. */
function asksOf({ capabilities }: Gpu, subject: TuneSubject): string[] {
  const { inputs, outputs, words, candidates, precision } = subject;
  const tuned = new ChoiceListener();
  const operand = (elements: number) => ({ dtype: 'f32', elements }) as const;
  const recorder: Recorder = {
    capabilities: { ...capabilities, tuned, precision },
    dispatch() {},
    temporary: (dtype, elements) => ({ dtype, elements }),
  };
  const asWords = (words?.() ?? []).map(({ length }) => ({ dtype: 'u32', elements: length }) as const);
  subject.record(recorder, inputs.map(operand), operand(outputs), candidates[0]!, asWords);
  return [...tuned.asked.keys()];
}

describe('the variants of our kernels', () => {
  it.each(KEYS)('are all right and ask for their own key: %s', async (key) => {
    const gpu = await testGpu();
    const made = subjectOf(key, gpu.capabilities);
    expect(made?.key).toBe(key);
    expect(new Set(made!.candidates).size).toBe(made!.candidates.length);
    expect(asksOf(gpu, made!)).toContain(key);
    const result = await tuneSubject(gpu, made!, { rounds: 0 });
    expect(result.excluded).toEqual([]);
  });

  it.each(['cpu', 'gpu'] as const)('are each recorded otherwise than the rest, on a %s', async (kind) => {
    const { capabilities } = await testGpu();
    const operand = (elements: number) => ({ dtype: 'f32', elements }) as const;
    for (const key of KEYS) {
      const subject = subjectOf(key, { ...capabilities, kind })!;
      const recorded = subject.candidates.map((id) => {
        const calls: unknown[] = [];
        const recorder: Recorder = {
          capabilities: { ...capabilities, kind, tuned: tunedChoices(new Map([[key, id]])) },
          dispatch: ({ name }, { args, tunables, workgroups }) => calls.push({ name, args, tunables, workgroups }),
          temporary: (dtype, elements) => ({ dtype, elements }),
        };
        const words = (subject.words?.() ?? []).map(({ length }) => ({ dtype: 'u32', elements: length }) as const);
        subject.record(recorder, subject.inputs.map(operand), operand(subject.outputs), id, words);
        return JSON.stringify(calls);
      });
      expect(new Set(recorded).size, key).toBe(subject.candidates.length);
    }
  });

  it.each([
    'conv g1 o8 i4 kh3 kw3 oh8 ow8 n2 d1 s1 y1 w4',
    'dense m6 o40 k28 w4',
    'int8product m7 o80 k160 w8',
    'int8conv g1 o8 i4 kh3 kw3 oh8 ow8 n2 d1 s1 w8',
  ])('with packed weights take no part where one code is wrong: %s', async (key) => {
    const gpu = await testGpu();
    const subject = subjectOf(key, gpu.capabilities)!;
    const [, bad, ...others] = subject.candidates;
    const [weights, ...codes] = subject.words!();
    const changed = weights!.slice();
    changed[1]! ^= 4;
    const wrong: TuneSubject = {
      ...subject,
      words: () => [weights!, ...codes, changed],
      record(recorder, inputs, out, id, words) {
        const own = id === bad ? [words.at(-1)!, ...words.slice(1)] : words;
        subject.record(recorder, inputs, out, id, own);
      },
    };
    const { excluded, best } = await tuneSubject(gpu, wrong, { rounds: 1 });
    expect(excluded.map(({ id }) => id)).toEqual([bad]);
    expect(excluded[0]!.why).toMatch(/away from float64|differs from the reference/);
    expect([subject.candidates[0], ...others]).toContain(best);
  });

  it('are right where the adapter counts as a desktop GPU', async ({ task }) => {
    const gpu = await testGpu();
    // Where this runs a second time, on SwiftShader, every other choice is enough.
    const step = task.file.projectName === 'swiftshader' ? 2 : 1;
    const { kind } = gpu.capabilities;
    gpu.capabilities.kind = 'gpu';
    try {
      const seen = new Set<string>();
      for (const [i, key] of KEYS.entries()) {
        if (i % step > 0) continue;
        const made = subjectOf(key, gpu.capabilities)!;
        if (!/g6|int8product m1/.test(key)) expect(made.candidates.length, key).toBeGreaterThan(1);
        // A tile compiles for more than a second on a software adapter: the first choice of each kernel takes all of them, the
        // others one, the next one another, and the rest of their variants.
        const kernel = key.slice(0, key.indexOf(' '));
        const isFirst = !seen.has(kernel);
        seen.add(kernel);
        const tiles = made.candidates.filter((id) => /^t\d/.test(id));
        const taken = tiles[(i / step) % tiles.length];
        const candidates = made.candidates.filter((id) => isFirst || !tiles.includes(id) || id === taken);
        const { excluded } = await tuneSubject(gpu, { ...made, candidates }, { rounds: 0 });
        expect(excluded, key).toEqual([]);
      }
    } finally {
      gpu.capabilities.kind = kind;
    }
  });

  it('are right in half precision, each by the tolerance of its own', async ({ skip }) => {
    const gpu = await testGpu();
    const { kind, f16 } = gpu.capabilities;
    if (!f16) skip('the adapter has no half precision');
    gpu.capabilities.kind = 'gpu';
    try {
      for (const key of [...KEYS.slice(0, 4), ...PACKED_IN_HALF].map((key) => `${key} h1`)) {
        const made = subjectOf(key, gpu.capabilities)!;
        expect(made.candidates[0]).toMatch(/f16/);
        expect(asksOf(gpu, made)).toContain(key);
        const { excluded } = await tuneSubject(gpu, made, { rounds: 0 });
        expect(excluded, key).toEqual([]);
        // What half precision may be off by is wrong for a variant in float32.
        const strict = await tuneSubject(gpu, { ...made, toleranceOf: () => 1e-4 }, { rounds: 0 });
        expect(new Set(strict.excluded.map(({ id }) => /f16|winograd/.test(id))), key).toEqual(new Set([true]));
      }
    } finally {
      gpu.capabilities.kind = kind;
    }
  });

  it('are none for keys that are no kernel’s', async () => {
    const { capabilities } = await testGpu();
    for (const key of [
      '',
      'product',
      'other m1',
      'product m5 n5 k5 b1 ar1',
      'product m1001 n5 k5 b1 ar1 br1',
      'conv x',
    ]) {
      expect(subjectOf(key, capabilities), key).toBeUndefined();
    }
  });
});

describe('tuning', () => {
  it('measures the choices with the most work first, within the time', async () => {
    const gpu = await testGpu();
    const asked = new Map([
      ['softmax l5 n160', 1],
      ['softmax l40 n160', 1],
      ['unknown a1', 9],
    ]);
    const seen: string[] = [];
    const report = await tune(gpu, asked, { rounds: 2, onProgress: ({ key }) => seen.push(key) });
    expect(report.results.map(({ key }) => key)).toEqual(['softmax l40 n160', 'softmax l5 n160']);
    expect(report.skipped).toEqual(['unknown a1']);
    expect(seen).toHaveLength(3);
    expect([...tableOf(report.results).keys()]).toHaveLength(2);
    const none = await tune(gpu, asked, { seconds: 0 });
    expect(none).toMatchObject({
      results: [],
      left: ['softmax l40 n160', 'softmax l5 n160'],
    });
  });

  it('learns choices by listening', () => {
    const listener = new ChoiceListener();
    for (const lines of [5, 40, 5]) {
      expect(softmaxLanes({ lines, length: 10 }, { kind: 'gpu', tuned: listener })).toBe(1);
    }
    expect([...listener.asked]).toEqual([
      ['softmax l5 n10', 2],
      ['softmax l40 n10', 1],
    ]);
  });
});

describe('values', () => {
  it('repeat, and differ by seed', () => {
    expect(seededValues(1, 100)).toEqual(seededValues(1, 100));
    expect(seededValues(2, 100)).not.toEqual(seededValues(1, 100));
    expect(Math.max(...seededValues(1, 1000).map(Math.abs))).toBeLessThanOrEqual(1);
  });

  it('are compared by the largest element, and NaN is as far as can be', () => {
    expect(worstDifference(Float32Array.of(1, 2, 4), Float32Array.of(1, 1, 4))).toEqual({ worst: 0.25, index: 1 });
    expect(worstDifference(Float32Array.of(1, Number.NaN), Float32Array.of(1, 1)).worst).toBe(Number.POSITIVE_INFINITY);
    expect(worstDifference(Float32Array.of(1), Float32Array.of(1, 1)).worst).toBe(Number.POSITIVE_INFINITY);
  });
});
