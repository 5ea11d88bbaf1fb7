import { describe, expect, it } from 'vitest';
import { stridedAccesses } from '../../../src/cli/profile/access.ts';
import { adviseOn, type KernelFacts } from '../../../src/cli/profile/advice.ts';

const stridesOf = async (body: string, size = [64, 1, 1]) => {
  const code = `struct Args { n: u32, stride: u32 }
@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
const FOUR: u32 = 4u;
override W: u32 = 3;
fn f(a: u32) -> u32 { return a; }
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u) {
  ${body}
}`;
  const found = await stridedAccesses(code, 'main', { workgroupSize: size, arrays: new Set(['x']) });
  return found.map(({ stride }) => stride ?? 'factor');
};

describe('accesses of neighbours', () => {
  it.each([
    ['x[id.x] = x[id.x + args.n] + x[g.x * 64u + l];', []],
    ['x[id.x * 4u] = 1.0;', [4]],
    ['let i = id.x * FOUR + 2u; x[i] = 1.0;', [4]],
    ['let i = id.x; x[i << 3u] = 1.0;', [8]],
    ['x[args.n - 2u * id.x] = 1.0;', [-2]],
    ['x[id.x * args.stride] = 1.0;', ['factor']],
    ['x[id.x * W] = 1.0;', ['factor']],
    ['var s = 0.0; for (var k = 0u; k < args.n; k++) { s += x[id.x * args.n + k]; } x[id.x] = s;', ['factor']],
    ['var s = 0.0; for (var k = 0u; k < args.n; k++) { s += x[k * args.n + id.x]; } x[id.x] = s;', []],
    // The same place for all, or other rows than the neighbour's.
    ['x[id.y * args.n] = x[args.n];', []],
    // Not known: a division by lanes, a call, an index that is loaded, a variable that lanes set.
    ['x[id.x / 4u] = 1.0;', []],
    ['x[f(id.x) * 4u] = 1.0;', []],
    ['x[u32(x[id.x]) * 4u] = 1.0;', []],
    ['var k = 0u; k = f(l); x[k * 4u] = 1.0;', []],
    ['x[u32(id.x) * 2u] = 1.0;', [2]],
  ] as const)('%s', async (body, expected) => {
    expect(await stridesOf(body)).toEqual(expected);
  });

  it('are those of the first dimension that is longer than 1', async () => {
    expect(await stridesOf('x[id.x * 8u + id.y] = 1.0;', [1, 64, 1])).toEqual([]);
    expect(await stridesOf('x[id.x + id.y * 8u] = 1.0;', [1, 64, 1])).toEqual([8]);
  });
});

describe('advice', () => {
  const facts: KernelFacts = {
    kernel: 'k',
    workgroupSize: [64, 1, 1],
    workgroupBytes: 0,
    workgroups: [1000, 1, 1],
    accesses: [],
    findings: [],
  };
  const cpu = { kind: 'cpu', subgroupSize: 8, maxInvocations: 1024, maxWorkgroupMemory: 32768 } as const;
  const gpu = { kind: 'gpu', maxInvocations: 256, maxWorkgroupMemory: 16384 } as const;
  const about = (changes: Partial<KernelFacts>, adapter: Parameters<typeof adviseOn>[1] = gpu) =>
    adviseOn({ ...facts, ...changes }, adapter).map((advice) => `${advice.about}: ${advice.text}`);

  it('has nothing to say of a kernel without fault', () => {
    expect(about({})).toEqual([]);
    expect(about({}, cpu)).toEqual([]);
  });

  it('counts lanes that idle', () => {
    expect(about({ workgroupSize: [60, 1, 1] }, cpu)).toEqual([expect.stringContaining('4 lanes (6 %)')]);
    expect(about({ workgroupSize: [4, 4, 1] })).toEqual([expect.stringContaining('16 lanes (50 %)')]);
    expect(
      about({ workgroupSize: [12, 1, 1] }, { kind: 'cpu', maxInvocations: 256, maxWorkgroupMemory: 16384 }),
    ).toEqual([]);
  });

  it('weighs workgroup memory against the limit, and against caches on a CPU', () => {
    expect(about({ workgroupBytes: 12288 })).toEqual([expect.stringContaining('12288 of 16384 bytes (75 %)')]);
    expect(about({ workgroupBytes: 4096 })).toEqual([]);
    expect(about({ workgroupBytes: 4096 }, cpu)).toEqual([expect.stringContaining('caches serve it as well')]);
  });

  it('asks for enough workgroups', () => {
    expect(about({ workgroups: [5, 2, 1] })).toEqual([expect.stringContaining('10 workgroups; about 256')]);
    expect(about({ workgroups: [5, 2, 1] }, cpu)).toEqual([expect.stringContaining('10 workgroups; about 16')]);
  });
});
