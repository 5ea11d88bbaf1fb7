import { InferenceModel } from '../../src/engine/inference.ts';
import { inferOperator, supportedOperators } from '../../src/engine/registry.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { toFloat32 } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import type { Executor } from './runTests.ts';

/** Executes node tests on a GPU, by the engine, as a model's inference would. */
export function engineExecutor(gpu: Gpu): Executor {
  const runGraph = async (graph: Graph, inputs: Map<string, Tensor>): Promise<Map<string, Tensor>> => {
    const inputShapes = Object.fromEntries(graph.inputs.map(({ name, shape }) => [name, shape as number[]]));
    const model = await InferenceModel.compile(gpu, graph, { inputShapes });
    try {
      const feeds = [...inputs].map(([name, tensor]) => [name, Float32Array.from(toFloat32(tensor))] as const);
      const outputs = await model.run(new Map(feeds));
      return new Map(
        model.outputs.map(({ name, shape }) => [name, { dtype: 'float32', shape, data: outputs.get(name)! }]),
      );
    } finally {
      model.dispose();
    }
  };
  return { supported: supportedOperators, lookup: inferOperator, runGraph };
}
