/** `wgslim profile --shader`: somebody's own WGSL on generated inputs. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProfileDocument } from '../../../src/cli/profile/document.ts';
import { checkCompiles, reflectShader } from '../../../src/cli/profile/shaderFile.ts';
import { checkShaderRun, runShader } from '../../../src/cli/profile/shaderRun.ts';
import { testGpu } from '../../support/gpu.ts';
import { wgslim } from '../fixture.ts';

const SAXPY = `struct Args { n: u32, a: f32, shift: vec2<i32> }
@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
struct Out { count: u32, sums: vec3f, values: array<f32> }
@group(0) @binding(3) var<storage, read_write> y: Out;
override WG: u32 = 60;
const ROWS = 2;
const COLUMNS = 60;
var<workgroup> tile: array<array<vec2f, COLUMNS>, ROWS * 2>;
var<workgroup> more: array<f32, WG>;

@compute @workgroup_size(WG)
fn saxpy(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32) {
  let i = id.x;
  if (i >= args.n) { return; }
  tile[0][l].x = x[i];
  y.values[i] = args.a * x[i] + more[(l + 1) % WG] + f32(args.shift.x);
}
@compute @workgroup_size(8, 8)
fn other(@builtin(global_invocation_id) id: vec3u) { y.values[id.x * 4] = f32(args.n) + x[id.y]; }
`;

let folder: string;
let file: string;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-shader-'));
  process.env.MESA_SHADER_CACHE_DIR ??= cache ?? join(homedir(), '.cache');
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  file = join(folder, 'saxpy.wgsl');
  await writeFile(file, SAXPY);
});
afterAll(async () => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  await rm(folder, { recursive: true });
});

const ARGS = { n: [1000], a: [2], shift: [5, 0] };

describe('reflection', () => {
  it('reads entry, sizes and bindings', async () => {
    const read = await reflectShader('saxpy.wgsl', SAXPY, { entry: 'saxpy', overrides: { WG: 64 } });
    expect(read.workgroupSize).toEqual([64, 1, 1]);
    expect(read.workgroupBytes).toBe(4 * 60 * 8 + 64 * 4);
    expect(read.bindings.map(({ name, binding, access, line }) => [name, binding, access, line])).toEqual([
      ['args', 0, 'uniform', 2],
      ['x', 1, 'read', 3],
      ['y', 3, 'read_write', 5],
    ]);
    const [args, x, y] = read.bindings;
    expect(args!.fixed.map(({ name, type, offset }) => [name, type, offset])).toEqual([
      ['n', 'u32', 0],
      ['a', 'f32', 4],
      ['shift[0]', 'i32', 8],
      ['shift[1]', 'i32', 12],
    ]);
    expect(x).toMatchObject({ fixedBytes: 0, stride: 4 });
    expect(y).toMatchObject({ fixedBytes: 28, stride: 4, element: [{ name: '', type: 'f32', offset: 0 }] });
  });

  it.each([
    ['array<f32, WG>', 50 * 4],
    ['array<array<vec2f, COLUMNS>, 2 * HALF>', 50 * 60 * 8],
    ['array<vec3f, 10>', 160],
    ['array<vec4h, 8>', 64],
    ['Cells', 3 * 32],
    ['atomic<i32>', 4],
    ['mat3x3<f32>', 48],
  ])('knows the size of %s in a workgroup', async (type, bytes) => {
    const code = `enable f16;
@id(7) override WG: u32 = 60;
override HALF = WG / 2;
const COLUMNS: u32 = 60;
struct Cell { at: vec3f, next: array<atomic<u32>, COLUMNS / 20u> }
alias Cells = array<Cell, 3>;
var<workgroup> shared_memory: ${type};
@compute @workgroup_size(WG) fn main() { workgroupBarrier(); }`;
    expect((await reflectShader('w.wgsl', code, { overrides: { WG: 50 } })).workgroupBytes).toBe(bytes);
  });

  it('refuses what it cannot bind, naming file and line', async () => {
    const cases: [string, RegExp][] = [
      [
        '@group(1) @binding(0) var<storage> a: array<f32>; @compute @workgroup_size(1) fn m() { _ = a[0]; }',
        /s\.wgsl:1: 'a' is @group\(1\)/,
      ],
      [
        '@group(0) @binding(0)\nvar t: texture_2d<f32>; @compute @workgroup_size(1) fn m() { _ = textureLoad(t, vec2(0), 0); }',
        /s\.wgsl:2: 't' is neither/,
      ],
      ['fn m() {}', /s\.wgsl: there is no @compute entry/],
    ];
    for (const [code, message] of cases) {
      await checkCompiles(await testGpu(), 's.wgsl', code);
      await expect(reflectShader('s.wgsl', code, { overrides: {} })).rejects.toThrow(message);
    }
    await expect(checkCompiles(await testGpu(), 's.wgsl', '\nfn m() { let a = b; }')).rejects.toThrow(
      /^s\.wgsl:2:18: .*b/,
    );
  });
});

describe('a run', () => {
  it('computes on generated inputs what the shader says', async () => {
    const gpu = await testGpu();
    const shader = await reflectShader('copy.wgsl', SAXPY, { entry: 'saxpy', overrides: {} });
    const run = await runShader(gpu, shader, { size: 1000, sizes: {}, args: ARGS });
    expect(run.workgroups).toEqual([Math.ceil(1000 / 60), 1, 1]);
    // 16 of the uniform, 1000 floats, a head of 28 and 1000 floats.
    expect(run.bytes).toBe(16 + 4000 + 28 + 4000);
    expect(run.plan.dispatches).toMatchObject([{ label: 'saxpy', workgroups: [17, 1, 1] }]);
    const before = gpu.buffers.statistics.buffers;
    run.plan.replay();
    await gpu.idle();
    run.dispose();
    expect(gpu.buffers.statistics.buffers).toBeLessThan(before);
  });

  it('is refused where a value is missing, left over or of another kind', async () => {
    const shader = await reflectShader('f.wgsl', SAXPY, { entry: 'saxpy', overrides: {} });
    const check =
      (args: Record<string, number[]>, sizes = {}) =>
      () =>
        checkShaderRun(shader, { size: 8, sizes, args });
    expect(check({ n: [1] })).toThrow(/f\.wgsl:2: the uniform 'args' has the field 'a', which has no value/);
    expect(check({ ...ARGS, b: [1] })).toThrow(/--args b: no uniform of f\.wgsl has the field 'b'/);
    expect(check({ ...ARGS, n: [1.5] })).toThrow(/1\.5 is no u32/);
    expect(check({ ...ARGS, shift: [1] })).toThrow(/takes 2 numbers there, not 1/);
    expect(check(ARGS, { z: 4 })).toThrow(/--size z: f\.wgsl has no array 'z' to be sized; it has x, y/);
    const uniform = new DataView(
      checkShaderRun(shader, { size: 8, sizes: {}, args: { a: [2], shift: [5, 0], 'args.n': [7] } }).get(0)!,
    );
    expect([uniform.getUint32(0, true), uniform.getFloat32(4, true), uniform.getInt32(8, true)]).toEqual([7, 2, 5]);
  });
});

describe('the command', () => {
  it('prints the table of a model for it, with advice, trace and page', async () => {
    const [trace, html] = [join(folder, 't.json'), join(folder, 'p.html')];
    const { code, stdout, stderr } = await wgslim(
      ...['profile', '--shader', file, '--entry', 'other', '--size', '4096', '--args', 'n=1,a=2,shift=1,2'],
      ...['--flops', '8192', '--workgroups', '4x2', '--repeat', '3', '--robustness', '--json', '--quiet'],
      ...['--trace', trace, '--html', html],
    );
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const document: ProfileDocument = JSON.parse(stdout);
    expect(document).toMatchObject({
      model: file,
      mode: 'shader',
      shader: { entry: 'other', workgroups: [4, 2, 1], workgroupSize: [8, 8, 1], workgroupBytes: 1920 + 240 },
      kernels: [{ kernel: file, calls: 1, flops: 8192 }],
    });
    if (document.timing === 'dispatch') {
      expect(document.robustness!.freeMs).toBeGreaterThan(0);
      expect(document.kernels[0]!.clamping).toBeCloseTo(document.robustness!.cost, 6);
    }
    expect(document.advice).toContainEqual(
      expect.objectContaining({ about: 'access', line: 20, text: expect.stringContaining("'y' 4 elements apart") }),
    );
    expect(JSON.parse(await readFile(trace, 'utf8')).traceEvents.length).toBeGreaterThan(3);
    expect(await readFile(html, 'utf8')).toContain('4 × 2 × 1 workgroups of 8 × 8 × 1');
  });

  it('ends with 2 and one line where the shader or the command line is wrong', async () => {
    const broken = join(folder, 'broken.wgsl');
    await writeFile(broken, '@compute @workgroup_size(1)\nfn m() { let a: u32 = 1.5; }');
    const cases: [string[], RegExp][] = [
      [['--shader', broken], /broken\.wgsl:2:\d+: /],
      [['--shader', file], /several @compute entries \(saxpy, other\)/],
      [['--shader', file, '--entry', 'none'], /no @compute entry 'none'/],
      [['--shader', file, '--override', 'X=1', '--entry', 'other'], /declares no override 'X'/],
      [['--shader', join(folder, 'missing.wgsl')], /missing\.wgsl/],
      [['--shader', file, 'model.onnx'], /in place of a model/],
      [[], /no model is named/],
      [['--shader', file, '--workgroups', '0'], /--workgroups/],
      [
        ['--shader', file, '--entry', 'other', '--args', 'n=1,a=2,shift=1,2', '--size', '1000000000'],
        /would take 4000000000 bytes/,
      ],
    ];
    for (const [args, message] of cases) {
      const { code, stderr } = await wgslim('profile', ...args, '--quiet');
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) });
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
  });
});
