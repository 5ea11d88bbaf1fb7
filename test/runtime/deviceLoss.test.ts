/** The device is destroyed under load: every run ends with the right answer, or with an error that says whether to retry. */
import { describe, expect, it } from 'vitest';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { DeviceLostError, InputError, load } from '../../src/web.ts';
import { SIDE, tinyGraph } from '../cli/fixture.ts';

const file = deployToBytes(tinyGraph(), 'float32', {});
const pixels = (batch: number, seed = 1) =>
  Float32Array.from({ length: batch * SIDE * SIDE }, (_, i) => Math.sin(i * seed));
const newDevice = async () => (await openGpu({ keepPriority: true })).gpu.device;
/** A loss is reported a while after it happened. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 50));

/** Devices made so far, the last one live. */
function makeDevices() {
  const devices: GPUDevice[] = [];
  return {
    devices,
    device: async () => {
      const made = await newDevice();
      devices.push(made);
      return made;
    },
    destroyAll: () => devices.map((device) => device.destroy()),
  };
}

describe('a lost device', () => {
  it('is replaced while runs are under way, and each gives its right answer', async () => {
    const { devices, device, destroyAll } = makeDevices();
    const losses: string[] = [];
    const model = await load(file, { device, onDeviceLost: ({ reason }) => losses.push(reason) });
    const batches = Array.from({ length: 12 }, (_, i) => pixels(1 + (i % 3), i + 1));
    const expected = [];
    for (const x of batches) expected.push((await model.run(x)).logits);
    for (const round of [1, 2]) {
      const answers = batches.map((x) => model.run(x));
      devices.at(-1)!.destroy();
      for (const [i, answer] of (await Promise.all(answers)).entries()) expect(answer.logits).toEqual(expected[i]);
      await settle();
      expect(devices).toHaveLength(1 + round);
      expect(losses).toHaveLength(round);
    }
    expect(model.device).toBe(devices.at(-1));
    expect(model.memory().weights).toBeGreaterThan(0);
    model.dispose();
    destroyAll();
  });

  it('is replaced between runs, for every batch size, and the memory is what it was', async () => {
    const { devices, device, destroyAll } = makeDevices();
    const model = await load(file, { device });
    const before = [await model.run(pixels(1)), await model.run(pixels(4))];
    const { weights } = model.memory();
    devices[0]!.destroy();
    await settle();
    expect([await model.run(pixels(1)), await model.run(pixels(4))]).toEqual(before);
    expect(model.memory().weights).toBe(weights);
    model.dispose();
    destroyAll();
  });

  it('that was brought rejects with an error that says to load again', async () => {
    const device = await newDevice();
    const model = await load(file, { device });
    const running = model.run(pixels(1));
    device.destroy();
    const failure = await running.then(
      () => undefined,
      (error) => error,
    );
    // The answer may have been on its way already.
    if (failure) expect(failure).toMatchObject({ name: 'DeviceLostError', retry: false });
    await settle();
    await expect(model.run(pixels(1))).rejects.toThrow(DeviceLostError);
    await expect(model.run(pixels(1))).rejects.toMatchObject({
      retry: false,
      message: expect.stringMatching(/load it again with a new one/),
    });
    model.dispose();
  });

  it('again and again rejects with an error that says to retry, and then runs', async () => {
    let doomed = true;
    const devices: GPUDevice[] = [];
    const model = await load(file, {
      device: async () => {
        const device = await newDevice();
        devices.push(device);
        // Lost as soon as it is worked with.
        if (doomed && devices.length > 1) {
          const submit = device.queue.submit.bind(device.queue);
          device.queue.submit = (commands) => {
            submit(commands);
            device.destroy();
          };
        }
        return device;
      },
    });
    const x = pixels(2);
    const expected = await model.run(x);
    devices[0]!.destroy();
    await settle();
    await expect(model.run(x)).rejects.toMatchObject({ name: 'DeviceLostError', retry: true });
    doomed = false;
    await settle();
    expect(await model.run(x)).toEqual(expected);
    model.dispose();
    for (const device of devices) device.destroy();
  });

  it('from a function that gives the same again is no new one', async () => {
    const device = await newDevice();
    const model = await load(file, { device: () => device });
    device.destroy();
    await settle();
    await expect(model.run(pixels(1))).rejects.toThrow(/gave the device again that was lost: give a new one/);
    model.dispose();
  });

  it('does not bring a disposed model back', async () => {
    const { devices, device } = makeDevices();
    const model = await load(file, { device });
    const running = model.run(pixels(1)).catch((error) => error);
    model.dispose();
    devices[0]!.destroy();
    const outcome = await running;
    if (!('logits' in outcome)) expect(outcome).toBeInstanceOf(InputError);
    await settle();
    expect(devices).toHaveLength(1);
  });

  it('while the file is on its way: load rejects', async () => {
    const device = await newDevice();
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (at >= file.length) return controller.close();
        controller.enqueue(file.slice(at, (at += 1000)));
        device.destroy();
        await settle();
      },
    });
    await expect(load(stream, { device })).rejects.toThrow(DeviceLostError);
  });
});
