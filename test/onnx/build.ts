import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType as A, AttributeProtoSchema, type ModelProto, ModelProtoSchema } from 'onnx-buf';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Attribute, Dim, DType, Graph, Node, Tensor } from '../../src/graph/types.ts';
import { encodeTensor, exportOnnx } from '../../src/onnx/export.ts';

export type NodeSketch = [op: string, inputs: string[], outputs: string[], attributes?: Record<string, Attribute>];

export interface Sketch {
  inputs: Record<string, Dim[] | { dtype: DType; shape: Dim[] }>;
  /** Names alone: types and shapes are left to whoever reads the model. */
  outputs: string[];
  nodes: NodeSketch[];
  initializers?: Record<string, Tensor>;
  outputTypes?: Record<string, DType>;
}

export function sketchGraph(sketch: Sketch): Graph {
  return {
    name: 'test',
    inputs: Object.entries(sketch.inputs).map(([name, spec]) =>
      Array.isArray(spec) ? { name, dtype: 'float32', shape: spec } : { name, ...spec },
    ),
    outputs: sketch.outputs.map((name) => ({ name, dtype: sketch.outputTypes?.[name] ?? 'float32' })),
    nodes: sketch.nodes.map(([op, inputs, outputs, attributes = {}], index): Node => {
      return { name: `${op}_${index}`, op, inputs, outputs, attributes };
    }),
    initializers: new Map(Object.entries(sketch.initializers ?? {})),
  };
}

/** A model in any opset: what the sketch says, literally, with nothing normalised. */
export function sketchModel(sketch: Sketch, opset: number, edit: (model: ModelProto) => void = () => {}): Uint8Array {
  const model = fromBinary(ModelProtoSchema, exportOnnx(sketchGraph(sketch)));
  model.opsetImport[0]!.version = BigInt(opset);
  model.irVersion = opset < 9 ? 3n : 8n;
  if (opset < 9) {
    // IR version 3 wants every initializer among the inputs too.
    const graph = model.graph!;
    const declared = exportOnnx({
      ...sketchGraph({ ...sketch, nodes: [], initializers: {}, outputs: [] }),
      inputs: Object.entries(sketch.initializers ?? {}).map(([name, { dtype, shape }]) => ({
        name,
        dtype,
        shape: [...shape],
      })),
    });
    graph.input.push(...fromBinary(ModelProtoSchema, declared).graph!.input);
  }
  edit(model);
  return toBinary(ModelProtoSchema, model);
}

export function editModel(bytes: Uint8Array, edit: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  edit(model);
  return toBinary(ModelProtoSchema, model);
}

export function subgraphAttribute(name: string) {
  return create(AttributeProtoSchema, { name, type: A.GRAPH });
}

export { encodeTensor };

/** Small deterministic generator (mulberry32) for test data. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomTensor(shape: readonly number[], random: () => number): Tensor {
  const length = shape.reduce((product, dim) => product * dim, 1);
  return floatTensor(
    shape,
    Float32Array.from({ length }, () => random() * 2 - 1),
  );
}
