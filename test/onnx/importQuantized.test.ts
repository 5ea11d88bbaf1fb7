/** Quantized models as other tools write them: what onnxruntime computes with the file, our engine does with the import. */
import { clearField, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataType as T, TensorProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { packNibbles } from '../../src/onnx/fourBit.ts';
import { importQuantized } from '../../src/onnx/import.ts';
import { dequantize } from '../../src/onnx/quantizedWeight.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { editModel, type Sketch, sketchGraph } from './build.ts';
import { runOnnxruntime } from './ort.ts';

const int8 = (shape: number[], values: number[]): Tensor => ({ dtype: 'int8', shape, data: Int8Array.from(values) });
const uint8 = (shape: number[], values: number[]): Tensor => ({ dtype: 'uint8', shape, data: Uint8Array.from(values) });
const counted = (length: number, from: number, step: number, modulus: number) =>
  Array.from({ length }, (_, i) => ((i * step) % modulus) + from);

async function expectSameAnswer(bytes: Uint8Array, shape: readonly number[], tolerance = 1e-6) {
  const { graph, weights } = importQuantized(bytes, { fileName: 'q.onnx' });
  const x = floatTensor(
    shape,
    randomFloats(
      9,
      shape.reduce((a, b) => a * b, 1),
      -3,
      3,
    ),
  );
  const { y } = await runOnnxruntime(bytes, { x });
  const model = await InferenceModel.compile(await testGpu(), graph, { batch: shape[0]! });
  const answer = await model.run(new Map([['x', x.data as Float32Array<ArrayBuffer>]]));
  model.dispose();
  expect(relativeError(answer.get('y') as Float32Array, y!.data as Float32Array)).toBeLessThan(tolerance);
  for (const [name, weight] of weights) expect(graph.initializers.get(name)!.data).toEqual(dequantize(weight));
  return { graph, weights };
}

/** y = x + w, with w out of a DequantizeLinear. */
const added = (shape: number[], initializers: Sketch['initializers'], inputs: string[], attributes = {}): Uint8Array =>
  exportOnnx(
    sketchGraph({
      inputs: { x: shape },
      outputs: ['y'],
      initializers,
      nodes: [
        ['DequantizeLinear', inputs, ['w'], attributes],
        ['Add', ['x', 'w'], ['y']],
      ],
    }),
  );

describe('weights', () => {
  it('of int8 with zero points become unsigned ones', async () => {
    const w = int8([2, 3], [-128, -1, 0, 1, 100, 127]);
    const initializers = { w8: w, s: floatTensor([2], [0.5, 0.25]), z: int8([2], [-3, 20]) };
    const { weights } = await expectSameAnswer(added([2, 3], initializers, ['w8', 's', 'z'], { axis: 0 }), [2, 3]);
    expect(weights.get('w')).toMatchObject({ bits: 8, axis: 0, zeroPoint: [125, 148] });
  });

  it('of uint8 without zero points', async () => {
    const initializers = { w8: uint8([2, 3], [0, 1, 2, 100, 200, 255]), s: floatTensor([], [0.5]) };
    const { weights, graph } = await expectSameAnswer(added([2, 3], initializers, ['w8', 's']), [2, 3]);
    expect(weights.get('w')).toMatchObject({ bits: 8, zeroPoint: [0] });
    expect([...graph.initializers.keys()]).toEqual(['w']);
  });

  it('along the default axis, and along a negative one', async () => {
    const initializers = { w8: int8([2, 3], [1, 2, 3, 4, 5, 6]), s: floatTensor([3], [0.5, 1, 2]) };
    for (const attributes of [{}, { axis: -1 }]) {
      const { weights } = await expectSameAnswer(added([2, 3], initializers, ['w8', 's'], attributes), [2, 3]);
      expect(weights.get('w')!.axis).toBe(1);
    }
  });

  it('in blocks along another axis than the last have values, but no grid of ours', async () => {
    const initializers = {
      w8: int8([5, 3], counted(15, -60, 37, 121)),
      s: floatTensor([3, 3], randomFloats(1, 9, 0.1, 1)),
      z: int8([3, 3], counted(9, -9, 5, 17)),
    };
    const attributes = { axis: 0, block_size: 2 };
    const { weights } = await expectSameAnswer(added([5, 3], initializers, ['w8', 's', 'z'], attributes), [5, 3]);
    expect(weights.size).toBe(0);
  });

  it('of 16 and 32 bits have values alone', async () => {
    const bias: Tensor = { dtype: 'int32', shape: [3], data: Int32Array.of(-70000, 5, 1 << 24) };
    const wide: Tensor = { dtype: 'uint16', shape: [3], data: Uint16Array.of(0, 7, 65535) };
    for (const w of [bias, wide]) {
      const { weights } = await expectSameAnswer(
        added([1, 3], { w8: w, s: floatTensor([], [0.01]) }, ['w8', 's']),
        [1, 3],
      );
      expect(weights.size).toBe(0);
    }
  });

  it('of 4 bits, whether raw or in the field for integers', async () => {
    for (const type of [T.INT4, T.UINT4]) {
      for (const isRaw of [true, false]) {
        const codes = counted(15, type === T.INT4 ? -8 : 0, 7, 16);
        const initializers = { w8: int8([5, 3], codes), s: floatTensor([3], [0.5, 1, 2]) };
        const bytes = editModel(added([5, 3], initializers, ['w8', 's'], { axis: 1 }), ({ graph }) => {
          const tensor = graph!.initializer.find(({ name }) => name === 'w8')!;
          tensor.dataType = type;
          tensor.rawData = packNibbles(codes);
          if (isRaw) return;
          clearField(tensor, TensorProtoSchema.field.rawData);
          tensor.int32Data = [...packNibbles(codes)];
        });
        const { weights } = await expectSameAnswer(bytes, [5, 3]);
        expect(weights.get('w')).toMatchObject({ bits: 4, axis: 1 });
        expect(Array.from(weights.get('w')!.codes)).toEqual(codes);
      }
    }
  });

  it('that the model quantizes itself from float32', async () => {
    const graph = sketchGraph({
      inputs: { x: [4, 6] },
      outputs: ['y'],
      initializers: {
        w: floatTensor([5, 6], randomFloats(3, 30)),
        s: floatTensor([5], [0.004, 0.01, 0.02, 0.0625, 1]),
        z: int8([5], [0, 0, 0, 0, 0]),
      },
      nodes: [
        ['QuantizeLinear', ['w', 's', 'z'], ['i'], { axis: 0 }],
        ['DequantizeLinear', ['i', 's', 'z'], ['d'], { axis: 0 }],
        ['Gemm', ['x', 'd'], ['y'], { transB: 1 }],
      ],
    });
    const { graph: read, weights } = await expectSameAnswer(exportOnnx(graph), [4, 6]);
    expect(weights.get('d')).toMatchObject({ bits: 8, axis: 0 });
    expect(read.nodes.map(({ op }) => op)).toEqual(['Gemm']);
  });

  it('that two layers read, from a Constant node', async () => {
    const graph = sketchGraph({
      inputs: { x: [2, 3] },
      outputs: ['y'],
      initializers: { s: floatTensor([1], [0.5]) },
      nodes: [
        ['Constant', [], ['c'], { value: int8([3], [1, -2, 3]) }],
        ['DequantizeLinear', ['c', 's'], ['d']],
        ['DequantizeLinear', ['c', 's'], ['e']],
        ['Add', ['x', 'd'], ['a']],
        ['Mul', ['a', 'e'], ['y']],
      ],
    });
    const { weights } = await expectSameAnswer(exportOnnx(graph), [2, 3]);
    expect([...weights.keys()]).toEqual(['d', 'e']);
  });
});

describe('activations', () => {
  const pair = (type: Tensor, attributes = {}, scale = [0.02], readers = 1) =>
    exportOnnx(
      sketchGraph({
        inputs: { x: ['N', 6] },
        outputs: ['y'],
        initializers: { s: floatTensor(type.shape, scale), z: type },
        nodes: [
          ['QuantizeLinear', ['x', 's', 'z'], ['i'], attributes],
          ['DequantizeLinear', ['i', 's', 'z'], ['d'], attributes],
          ...(readers === 1
            ? [['Relu', ['d'], ['y']] as Sketch['nodes'][number]]
            : [
                ['DequantizeLinear', ['i', 's', 'z'], ['e'], attributes] as Sketch['nodes'][number],
                ['Mul', ['d', 'e'], ['y']] as Sketch['nodes'][number],
              ]),
        ],
      }),
    );

  it('of int8 and uint8 become a quantizer', async () => {
    for (const z of [int8([], [0]), uint8([1], [0])]) {
      const { graph } = await expectSameAnswer(pair(z), [5, 6]);
      expect(graph.nodes.map(({ op }) => op)).toEqual(['wgslim.FakeQuantize', 'Relu']);
      expect(graph.nodes[0]!.attributes).toEqual({ bits: 8, signed: z.dtype === 'int8' ? 1 : 0, narrow: 0, axis: -1 });
      expect([...graph.initializers.keys()]).toEqual(['s']);
    }
  });

  it('with a zero point get a quantizer of more bits behind a Clip', async () => {
    for (const z of [uint8([], [100]), uint8([], [255]), int8([], [-128])]) {
      const { graph } = await expectSameAnswer(pair(z), [20, 6]);
      expect(graph.nodes.map(({ op }) => op)).toEqual(['Clip', 'wgslim.FakeQuantize', 'Relu']);
      expect(graph.nodes[1]!.attributes).toMatchObject({ bits: 9, signed: 1 });
    }
  });

  it('with a scale for each channel', async () => {
    const { graph } = await expectSameAnswer(
      pair(int8([6], [0, 0, 0, 0, 0, 0]), { axis: 1 }, [0.01, 0.02, 0.03, 1, 2, 3]),
      [5, 6],
    );
    expect(graph.nodes[0]!.attributes).toMatchObject({ bits: 8, axis: 1 });
  });

  it('that several DequantizeLinears read have one quantizer', async () => {
    const { graph } = await expectSameAnswer(pair(int8([], [0]), {}, [0.02], 2), [5, 6]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['wgslim.FakeQuantize', 'Mul']);
  });

  it('keep a scale that something else reads', async () => {
    const graph = sketchGraph({
      inputs: { x: ['N', 6] },
      outputs: ['y'],
      initializers: { s: floatTensor([], [0.02]), z: int8([], [0]) },
      nodes: [
        ['QuantizeLinear', ['x', 's', 'z'], ['i']],
        ['DequantizeLinear', ['i', 's', 'z'], ['d']],
        ['Mul', ['d', 's'], ['y']],
      ],
    });
    const { graph: read } = await expectSameAnswer(exportOnnx(graph), [5, 6]);
    expect(read.initializers.get('s')!.shape).toEqual([]);
  });

  it('in the domain that onnxruntime wrote before ONNX had all types', async () => {
    const bytes = editModel(pair(int8([], [0])), (model) => {
      for (const node of model.graph!.node) if (node.opType.endsWith('Linear')) node.domain = 'com.microsoft';
      model.opsetImport.push({ ...model.opsetImport[0]!, domain: 'com.microsoft', version: 1n });
    });
    const { graph } = await expectSameAnswer(bytes, [5, 6]);
    expect(graph.nodes[0]!.op).toBe('wgslim.FakeQuantize');
  });

  it('stay as they are where an operator works on the integers', () => {
    const graph = sketchGraph({
      inputs: { x: ['N', 6] },
      outputs: ['y'],
      initializers: { s: floatTensor([], [0.02]), z: int8([], [0]) },
      nodes: [
        ['QuantizeLinear', ['x', 's', 'z'], ['i']],
        ['Flatten', ['i'], ['f'], { axis: 1 }],
        ['DequantizeLinear', ['f', 's', 'z'], ['y']],
      ],
    });
    const read = importQuantized(exportOnnx(graph), { fileName: 'q.onnx' }).graph;
    expect(read.nodes.map(({ op }) => op)).toEqual(['QuantizeLinear', 'Flatten', 'DequantizeLinear']);
  });
});

describe('faults', () => {
  const refused: [string, () => Uint8Array, RegExp][] = [
    [
      'scales that do not fit',
      () => added([2, 3], { w8: int8([2, 3], [1, 2, 3, 4, 5, 6]), s: floatTensor([4], [1, 1, 1, 1]) }, ['w8', 's']),
      /q\.onnx: node 'DequantizeLinear_0'.*scales \[4\] that do not fit a tensor \[2, 3\]/,
    ],
    [
      'blocks that do not fit',
      () =>
        added([2, 3], { w8: int8([2, 3], [1, 2, 3, 4, 5, 6]), s: floatTensor([2, 1], [1, 1]) }, ['w8', 's'], {
          axis: 1,
          block_size: 2,
        }),
      /scales \[2, 1\] that do not fit/,
    ],
    [
      'zero points of another type',
      () => added([2], { w8: int8([2], [1, 2]), s: floatTensor([], [1]), z: uint8([], [1]) }, ['w8', 's', 'z'], {}),
      /zero point of uint8/,
    ],
    [
      'more zero points than scales',
      () => added([2], { w8: int8([2], [1, 2]), s: floatTensor([], [1]), z: int8([2], [1, 2]) }, ['w8', 's', 'z'], {}),
      /1 scales and 2 zero points/,
    ],
  ];
  it.each(refused)('%s are refused with a sentence', (_, make, message) => {
    expect(() => importQuantized(make(), { fileName: 'q.onnx' })).toThrow(InputError);
    expect(() => importQuantized(make(), { fileName: 'q.onnx' })).toThrow(message);
  });

  const packed = (change: Record<string, number>, tensors: Sketch['initializers'] = {}, inputs = ['x', 'b', 's']) =>
    exportOnnx(
      sketchGraph({
        inputs: { x: ['N', 20] },
        outputs: ['y'],
        initializers: {
          b: uint8([3, 2, 8], counted(48, 0, 7, 256)),
          s: floatTensor([6], counted(6, 1, 1, 9)),
          ...tensors,
        },
        nodes: [['com.microsoft.MatMulNBits', inputs, ['y'], { K: 20, N: 3, bits: 4, block_size: 16, ...change }]],
      }),
    );
  it('a MatMulNBits whose parts do not fit is refused, and the whole one runs', async () => {
    await expectSameAnswer(packed({}), [2, 20], 1e-5);
    const refusals: [Uint8Array, RegExp][] = [
      [packed({ N: 4 }), /48 bytes of weights where 64 are needed/],
      [packed({ K: 2 ** 40 }), /bytes of weights where/],
      [packed({ K: -1 }), /must be positive/],
      [packed({ bits: 2 }), /has 2 bits; 4 and 8/],
      [packed({ block_size: 24 }), /blocks of 24/],
      [packed({}, { s: floatTensor([5], [1, 1, 1, 1, 1]) }), /5 scales where 6/],
      [packed({}, { z: uint8([2], [0, 0]) }, ['x', 'b', 's', 'z']), /2 bytes of zero points where 3/],
      [packed({}, { g: int8([20], counted(20, 0, 1, 2)) }, ['x', 'b', 's', '', 'g']), /g_idx/],
      [packed({}, {}, ['x', 'x', 's']), /no constant of uint8/],
    ];
    for (const [bytes, message] of refusals) {
      expect(() => importQuantized(bytes, { fileName: 'q.onnx' })).toThrow(InputError);
      expect(() => importQuantized(bytes, { fileName: 'q.onnx' })).toThrow(message);
    }
  });

  it('other operators of that domain are refused', () => {
    const model = fromBinary(ModelProtoSchema, packed({}));
    model.graph!.node[0]!.opType = 'QLinearAdd';
    expect(() => importQuantized(toBinary(ModelProtoSchema, model), { fileName: 'q.onnx' })).toThrow(
      /\(QLinearAdd\) comes from the operator domain 'com\.microsoft'/,
    );
  });

  it('4-bit tensors with too few bytes are refused', () => {
    const bytes = editModel(
      added([3], { w8: int8([3], [1, 2, 3]), s: floatTensor([], [1]) }, ['w8', 's']),
      ({ graph }) => {
        const tensor = graph!.initializer.find(({ name }) => name === 'w8')!;
        tensor.dataType = T.INT4;
        tensor.rawData = Uint8Array.of(1);
      },
    );
    expect(() => importQuantized(bytes, { fileName: 'q.onnx' })).toThrow(/needs 2 bytes, but has 1/);
  });
});
