/** What depends on weights alone is made once in inference, and anew in every run of plans whose weights may change. */
import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../src/engine/builder.ts';
import { recordForward } from '../../src/engine/forward.ts';
import { InferenceModel } from '../../src/engine/inference.ts';
import { ParameterStore } from '../../src/engine/parameters.ts';
import { prepareGraph } from '../../src/engine/prepare.ts';
import { loadOperators } from '../../src/engine/registry.ts';
import type { Value } from '../../src/engine/value.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { load } from '../../src/web.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';
import { NetworkBuilder } from '../support/networks.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

const gpu = await testGpu();
const [CHANNELS, SIDE] = [64, 16];
const TRANSFORMED = (16 / 9) * 4 * CHANNELS * CHANNELS * 9;

/** Two convolutions by the same weights, and one by others. */
function network() {
  const net = new NetworkBuilder('convolutions', [1, CHANNELS, SIDE, SIDE]);
  const weights = [0, 1].map(() => net.parameter([CHANNELS, CHANNELS, 3, 3], -0.1, 0.1));
  for (const name of [weights[0]!, weights[1]!, weights[0]!]) {
    net.node('Conv', [net.last, name], { pads: [1, 1, 1, 1] });
  }
  return net.finish();
}

const graph = network();
const input = graph.inputs[0]!.name;
const elements = CHANNELS * SIDE * SIDE;
const image = (seed: number) => randomFloats(seed, elements);

/** Image by image. */
async function oracle(x: Float32Array<ArrayBuffer>): Promise<Float32Array> {
  const results: number[] = [];
  const model = exportOnnx(graph);
  for (let at = 0; at < x.length; at += elements) {
    const image = floatTensor([1, CHANNELS, SIDE, SIDE], x.slice(at, at + elements));
    const outputs = await runOnnxruntime(model, { [input]: image });
    results.push(...(Object.values(outputs)[0]!.data as Float32Array));
  }
  return Float32Array.from(results);
}

const transformsOf = (dispatches: readonly { label: string }[]) =>
  dispatches.filter(({ label }) => label.includes("weights' transform")).length;

describe.skipIf(gpu.capabilities.kind !== 'cpu')('weights of Winograd convolutions', () => {
  it('are transformed once for all runs of a plan, which says what they take, and frees it', async () => {
    // Buffers to read by stay.
    await gpu.readFloats({ buffer: gpu.buffers.create(4 * elements, 'read once'), offset: 0, size: 4 * elements });
    const before = gpu.buffers.statistics.bytes;
    const model = await InferenceModel.compile(gpu, graph);
    expect(model.plan.dispatches.filter(({ program }) => program.startsWith('winograd')).length).toBeGreaterThan(0);
    expect(transformsOf(model.plan.dispatches)).toBe(0);
    expect(model.memory.derived).toBe(2 * TRANSFORMED);
    for (const seed of [1, 2]) {
      const x = image(seed);
      const [y] = (await model.run(new Map([[input, x]]))).values();
      expect(relativeError(y!, await oracle(x))).toBeLessThan(1e-5);
    }
    model.dispose();
    expect(gpu.buffers.statistics.bytes).toBe(before);
  });

  it('are transformed in every run where they may change', async () => {
    const { graph: prepared, shapes } = prepareGraph(graph, { batch: 16 });
    const output = prepared.outputs[0]!.name;
    await loadOperators({ graph: prepared, shapes, capabilities: gpu.capabilities });
    const { compiled, parts } = await buildPlan(gpu, 'test', (builder) => {
      const store = builder.adopt(new ParameterStore(gpu, prepared));
      const x = builder.own(shapes.get(input)!, 'f32', input);
      const inputs = new Map([[input, x]]);
      const request = { builder, graph: prepared, shapes, store, inputs, training: false, inferenceOnly: true };
      const y = recordForward(request).values.get(output) as Value<'f32'>;
      builder.keep(y);
      return { store, x, y };
    });
    expect(transformsOf(compiled.plan.dispatches)).toBe(3);
    gpu.write(compiled.locate(parts.x), randomFloats(3, 16 * elements));
    const run = async () => {
      compiled.plan.replay();
      return gpu.readFloats(compiled.locate(parts.y));
    };
    const first = await run();
    const halves = [...prepared.initializers].map(
      ([name, { shape, data }]) =>
        [
          name,
          floatTensor(
            shape,
            (data as Float32Array).map((value) => value / 2),
          ),
        ] as const,
    );
    parts.store.upload(new Map(halves));
    expect(
      relativeError(
        await run(),
        first.map((value) => value / 8),
      ),
    ).toBeLessThan(1e-6);
    compiled.dispose();
  });

  it('are shared by the plans of a model that may take memory, and not kept by one that may not', async () => {
    const file = encodeModel(graph, new Map(), {});
    const weights: number[] = [];
    for (const memory of ['small', 'fast'] as const) {
      const model = await load(file, { device: gpu.device, weights: memory });
      const before = model.memory().weights;
      for (const batch of [1, 4]) {
        const x = randomFloats(4, batch * elements);
        const [y] = Object.values(await model.run(x));
        expect(relativeError(y!, await oracle(x))).toBeLessThan(1e-5);
      }
      expect(model.memory().weights).toBe(before);
      weights.push(before);
      model.dispose();
    }
    expect(weights[1]! - weights[0]!).toBe(2 * TRANSFORMED);
  });
});
