import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BufferSlice } from '../../src/gpu/buffers.ts';
import { DeviceLostError, GpuError, LimitError, OutOfMemoryError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { type Command, compilePlan } from '../../src/gpu/plan.ts';
import { Throttle } from '../../src/gpu/throttle.ts';
import { replayTimed } from '../../src/gpu/timing.ts';
import { add } from '../../src/kernels/add.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { DynamicArgs } from '../../src/kernels/dynamicArgs.ts';
import { encodeCall } from '../../src/kernels/encode.ts';
import type { Shader } from '../../src/kernels/shader.ts';
import { randomFloats } from '../support/numbers.ts';

/** out = alpha·a + beta·b, one invocation per element: a shader of the tests' own. */
const axpby = {
  name: 'test/axpby',
  features: [],
  workgroupSize: [1],
  args: {
    size: 12,
    fields: { n: { offset: 0, type: 'u32' }, alpha: { offset: 4, type: 'f32' }, beta: { offset: 8, type: 'f32' } },
  },
  bindings: {
    a: { binding: 1, access: 'read', element: 'f32', width: 1, array: true },
    b: { binding: 2, access: 'read', element: 'f32', width: 1, array: true },
    out: { binding: 3, access: 'read_write', element: 'f32', width: 1, array: true },
  },
  constants: {},
  aliases: {},
  overrides: {},
  code: `
    struct Args { n: u32, alpha: f32, beta: f32 }
    @group(0) @binding(0) var<uniform> args: Args;
    @group(0) @binding(1) var<storage, read> a: array<f32>;
    @group(0) @binding(2) var<storage, read> b: array<f32>;
    @group(0) @binding(3) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {
      if (id.x < args.n) { out[id.x] = args.alpha * a[id.x] + args.beta * b[id.x]; }
    }`,
} as const satisfies Shader;

// Arguments travel as immediates where the device has them, in a uniform arena elsewhere: both must work.
describe.each([
  { name: 'as the adapter is', without: [] as const },
  {
    name: 'without immediates, timestamps and subgroups',
    without: ['immediates', 'timestamp-query', 'subgroups'] as const,
  },
])('a plan, $name', ({ without }) => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = (await openGpu({ without })).gpu;
  });
  afterAll(() => gpu.destroy());

  const n = 1000;
  const a = randomFloats(1, n);
  const b = randomFloats(2, n);

  it('runs what was recorded, in order, as often as it is replayed', async () => {
    const recorder = new DirectRecorder(gpu);
    const [x, y] = [recorder.upload('f32', a), recorder.upload('f32', b)];
    const sum = recorder.temporary('f32', n);
    const out = recorder.temporary('f32', n);
    add(recorder, { a: x, b: y, out: sum });
    add(recorder, { a: sum, b: y, out, alpha: 2, beta: -0.5 });
    const plan = await recorder.compile();
    expect(plan.dispatchCount).toBe(2);
    const bytes = gpu.buffers.statistics;
    for (let i = 0; i < 5; i++) plan.replay();
    await gpu.idle();
    expect(gpu.buffers.statistics).toEqual(bytes);
    const expected = Float32Array.from(a, (value, i) => 2 * Math.fround(value + b[i]) - 0.5 * b[i]);
    const result = await recorder.read(out);
    for (let i = 0; i < n; i++) expect(result[i]).toBeCloseTo(expected[i], 5);
    plan.dispose();
    recorder.dispose();
  });

  it('encodes the next replay from the second on, while the GPU works', async () => {
    const recorder = new DirectRecorder(gpu);
    const x = recorder.upload('f32', a);
    const out = recorder.temporary('f32', n);
    add(recorder, { a: x, b: x, out });
    const plan = await recorder.compile();
    const encoders = vi.spyOn(gpu.device, 'createCommandEncoder');
    const counts = [0, 1, 2].map(() => {
      plan.replay();
      return encoders.mock.calls.length;
    });
    encoders.mockRestore();
    expect(counts).toEqual([1, 3, 4]);
    expect(await recorder.read(out)).toEqual(a.map((value) => 2 * value));
    plan.dispose();
    recorder.dispose();
  });

  it('reads into memory that is given to it, if it is long enough', async () => {
    const recorder = new DirectRecorder(gpu);
    const { slice } = recorder.upload('f32', a);
    const into = new Float32Array(n);
    for (let i = 0; i < 2; i++) {
      expect(await gpu.readFloats(slice as BufferSlice, into.fill(0))).toBe(into);
      expect(into).toEqual(a);
    }
    await expect(gpu.readFloats(slice as BufferSlice, new Float32Array(n - 1))).rejects.toThrow(RangeError);
    expect(await gpu.readFloats(slice as BufferSlice)).toEqual(a);
    recorder.dispose();
  });

  it('gives the same when it is split into many command buffers', async () => {
    const recorder = new DirectRecorder(gpu);
    let value = recorder.upload('f32', a);
    const y = recorder.upload('f32', b);
    for (let i = 0; i < 10; i++) {
      const out = recorder.temporary('f32', n);
      add(recorder, { a: value, b: y, out, alpha: 0.5 });
      value = out;
    }
    await recorder.run();
    const whole = await recorder.read(value);
    let split = recorder.upload('f32', a);
    const commands: Command[] = [];
    for (let i = 0; i < 10; i++) {
      const out = recorder.temporary('f32', n);
      const { program, args } = encodeCall(
        axpby,
        { operands: { a: split, b: y, out }, args: { n, alpha: 0.5, beta: 1 }, workgroups: [n, 1, 1] },
        gpu.capabilities,
      );
      const storage = [split.slice, y.slice, out.slice];
      commands.push({ kind: 'dispatch', label: `add ${i}`, program, storage, args, workgroups: [n, 1, 1] });
      split = out;
    }
    const plan = await compilePlan(gpu, commands, { label: 'split', dispatchesPerSubmit: 3 });
    await plan.replayYielding();
    expect(await recorder.read(split)).toEqual(whole);
    plan.dispose();
    recorder.dispose();
  });

  it('takes arguments that are rewritten between replays', async () => {
    const recorder = new DirectRecorder(gpu);
    const x = recorder.upload('f32', a);
    const zero = recorder.upload('f32', new Float32Array(n));
    const args = new DynamicArgs(gpu, axpby, { n, alpha: 1, beta: 0 });
    const outs = [3, -2].map(() => recorder.temporary('f32', n));
    for (const [i, alpha] of [3, -2].entries()) {
      recorder.dispatch(axpby, {
        operands: { a: x, b: zero, out: outs[i] },
        args: args.slice,
        workgroups: [n, 1, 1],
      });
      const plan = await recorder.compile();
      args.write({ n, alpha, beta: 0 });
      plan.replay();
      args.write({ n, alpha: 0, beta: 0 }); // only the replays queued after it see this
      await gpu.idle();
      expect(await recorder.read(outs[i])).toEqual(a.map((value) => value * alpha));
      plan.dispose();
    }
    args.dispose();
    recorder.dispose();
  });

  it('times its dispatches where the adapter can', async () => {
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('f32', n);
    add(recorder, { a: recorder.upload('f32', a), b: recorder.upload('f32', b), out, label: 'timed' });
    const plan = await recorder.compile();
    const timings = await replayTimed(plan);
    if (gpu.capabilities.timestamps) {
      expect(timings).toHaveLength(1);
      expect(timings?.[0]).toMatchObject({ label: 'timed', program: 'elementwise/add' });
      expect(timings?.[0].microseconds).toBeGreaterThan(0);
    } else expect(timings).toBeUndefined();
    plan.dispose();
    recorder.dispose();
  });

  it('frees what it took', async () => {
    const before = gpu.buffers.statistics;
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('f32', n);
    add(recorder, { a: recorder.upload('f32', a), b: recorder.upload('f32', b), out });
    await recorder.run();
    recorder.dispose();
    expect(gpu.buffers.statistics.bytes).toBe(before.bytes);
  });
});

describe('what goes wrong', () => {
  it('names the limit, what was asked and what to do', async () => {
    const { gpu } = await openGpu();
    const { maxBufferBytes } = gpu.capabilities;
    expect(() => gpu.buffers.create(maxBufferBytes + 1, 'activations')).toThrow(LimitError);
    expect(() => gpu.buffers.create(maxBufferBytes + 1, 'activations')).toThrow(
      /activations needs .*maxBufferSize.*smaller batch/,
    );
    gpu.destroy();
  });

  it('reports memory that the device does not have', async () => {
    const { gpu } = await openGpu();
    // The driver's answer comes by an error scope: this one stands in for it.
    const device = gpu.device as unknown as { popErrorScope(): Promise<{ message: string } | null> };
    const original = device.popErrorScope.bind(gpu.device);
    device.popErrorScope = async () => (await original()) ?? { message: 'no memory' };
    gpu.buffers.create(1024, 'weights');
    await expect(gpu.buffers.settle()).rejects.toThrow(OutOfMemoryError);
    await expect(gpu.buffers.settle()).resolves.toBeUndefined();
    gpu.destroy();
  });

  it('reports a lost device from every call', async () => {
    const { gpu } = await openGpu();
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('f32', 64);
    add(recorder, { a: recorder.temporary('f32', 64), b: recorder.temporary('f32', 64), out });
    const plan = await recorder.compile();
    const throttle = new Throttle(gpu);
    const stuck = expect(gpu.orLost(new Promise(() => {}))).rejects.toThrow(DeviceLostError);
    gpu.device.destroy();
    await gpu.lost;
    await stuck;
    await expect(gpu.orLost(new Promise(() => {}))).rejects.toThrow(DeviceLostError);
    expect(() => plan.replay()).toThrow(DeviceLostError);
    await expect(gpu.read(out.slice)).rejects.toThrow(DeviceLostError);
    await expect(gpu.idle()).rejects.toThrow(DeviceLostError);
    await expect(throttle.pace()).rejects.toThrow(DeviceLostError);
  });

  it('passes on what settles before a loss', async () => {
    const { gpu } = await openGpu();
    expect(await gpu.orLost(Promise.resolve(7))).toBe(7);
    await expect(gpu.orLost(Promise.reject(new TypeError('seven')))).rejects.toThrow(TypeError);
    gpu.destroy();
  });

  it('reports an operation that the device refused', async () => {
    const { gpu } = await openGpu();
    const buffer = gpu.buffers.create(256, 'small');
    gpu.device.queue.writeBuffer(buffer, 128, new Float32Array(64));
    await gpu.device.queue.onSubmittedWorkDone();
    await expect(gpu.idle()).rejects.toThrow(GpuError);
    gpu.destroy();
  });

  it('quotes the compiler where a shader does not compile', async () => {
    const { gpu } = await openGpu();
    const program = {
      name: 'broken',
      code: '@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }',
      overrides: {},
      bindings: [],
    };
    await expect(gpu.pipelines.compile(program)).rejects.toThrow(/broken does not compile: 1:/);
    gpu.destroy();
  });
});
