import * as ort from 'onnxruntime-node';
import type { DType, Tensor, TensorData } from '../../src/graph/types.ts';

const toBool = (data: TensorData): Uint8Array => Uint8Array.from(data as Uint8Array);

/** Runs a model in onnxruntime, the oracle of most tests here. */
export async function runOnnxruntime(
  model: Uint8Array,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  // One thread and no rewriting: quick to start, and close to the operators as they are specified.
  const session = await ort.InferenceSession.create(model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
        name,
        new ort.Tensor(dtype as 'float32', (dtype === 'bool' ? toBool(data) : data) as Float32Array, [...shape]),
      ]),
    );
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [
        name,
        { dtype: tensor.type as DType, shape: [...tensor.dims], data: tensor.data as unknown as TensorData },
      ]),
    );
  } finally {
    await session.release();
  }
}
