import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { inferShapeOfOperator } from '../../src/graph/infer/inferers.ts';
import { specialize } from '../../src/graph/specialize.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { numberToFloat16 } from '../../src/kernels/float16.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { importOnnx } from '../../src/onnx/import.ts';
import { editModel, generator, randomTensor, type Sketch, sketchModel, subgraphAttribute } from './build.ts';
import { runOnnxruntime } from './ort.ts';

const load = (bytes: Uint8Array, maxOpset?: number) => importOnnx(bytes, { fileName: 'm.onnx', maxOpset });

/** The model as it is, and as it comes out of import and export, must compute the same in onnxruntime. */
async function expectSameResults(sketch: Sketch, opset: number, inputs: Record<string, Tensor>): Promise<void> {
  const original = sketchModel(sketch, opset);
  const graph = load(original);
  const [expected, whole, fixed] = await Promise.all([
    runOnnxruntime(original, inputs),
    runOnnxruntime(exportOnnx(graph), inputs),
    runOnnxruntime(exportOnnx(specialize(graph, inferShapeOfOperator).graph), inputs),
  ]);
  for (const name of sketch.outputs) {
    expect(whole[name]!.shape).toEqual(expected[name]!.shape);
    expect(whole[name]!.data).toEqual(expected[name]!.data);
    expect(fixed[name]!.data).toEqual(expected[name]!.data);
  }
}

describe('older opsets in the newest form, judged by onnxruntime', () => {
  const random = generator(1);
  const x = randomTensor([2, 3, 4, 5], random);
  const cases: [string, number, Sketch['nodes'], Record<string, Tensor>?][] = [
    [
      'Squeeze and Unsqueeze',
      11,
      [
        ['Unsqueeze', ['x'], ['a'], { axes: [0, 3] }],
        ['Squeeze', ['a'], ['y'], { axes: [3] }],
      ],
    ],
    ['Slice', 9, [['Slice', ['x'], ['y'], { starts: [1, -4], ends: [Number.MAX_SAFE_INTEGER, -1], axes: [1, 3] }]]],
    ['Pad', 10, [['Pad', ['x'], ['y'], { pads: [0, 0, 1, 2, 0, 0, 0, 1], mode: 'constant', value: 0.5 }]]],
    ['Pad by reflection', 10, [['Pad', ['x'], ['y'], { pads: [0, 0, 1, 2, 0, 0, 0, 1], mode: 'reflect' }]]],
    ['Clip', 7, [['Clip', ['x'], ['y'], { min: -0.25, max: 0.5 }]]],
    ['Clip without a maximum', 7, [['Clip', ['x'], ['y'], { min: 0.125 }]]],
    ['ReduceMean', 11, [['ReduceMean', ['x'], ['y'], { axes: [1, -1], keepdims: 0 }]]],
    ['ReduceMean over everything', 13, [['ReduceMean', ['x'], ['y']]]],
    [
      'Split',
      11,
      [
        ['Split', ['x'], ['a', 'b'], { axis: 3, split: [2, 3] }],
        ['Concat', ['b', 'a'], ['y'], { axis: 3 }],
      ],
    ],
    [
      'Dropout',
      10,
      [
        ['Dropout', ['x'], ['a'], { ratio: 0.5 }],
        ['Relu', ['a'], ['y']],
      ],
    ],
    [
      'Dropout before the output',
      12,
      [
        ['Relu', ['x'], ['a']],
        ['Dropout', ['a', 'r'], ['y']],
      ],
      { r: floatTensor([], [0.5]) },
    ],
    [
      'BatchNormalization',
      7,
      [['BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], { epsilon: 0.01 }]],
      {
        s: randomTensor([3], random),
        b: randomTensor([3], random),
        m: randomTensor([3], random),
        v: floatTensor([3], [0.5, 1, 2]),
      },
    ],
    [
      'Reshape with a Constant',
      7,
      [
        ['Constant', [], ['c'], { value: int64Tensor([0, -1]) }],
        ['Reshape', ['x', 'c'], ['y']],
      ],
    ],
    [
      'shapes computed from shapes',
      11,
      [
        ['Shape', ['x'], ['s']],
        ['Gather', ['s', 'zero'], ['n'], { axis: 0 }],
        ['Unsqueeze', ['n'], ['n1'], { axes: [0] }],
        ['Concat', ['n1', 'rest'], ['t'], { axis: 0 }],
        ['Reshape', ['x', 't'], ['y']],
      ],
      { zero: { ...int64Tensor([0]), shape: [] }, rest: int64Tensor([-1]) },
    ],
    ['Softmax over the default axis', 11, [['Softmax', ['x'], ['y']]]],
    ['Softmax flattened at axis 2', 12, [['Softmax', ['x'], ['y'], { axis: 2 }]]],
    ['Softmax at the last axis', 12, [['Softmax', ['x'], ['y'], { axis: 3 }]]],
    ['Softmax at a negative axis', 12, [['Softmax', ['x'], ['y'], { axis: -2 }]]],
    ['LogSoftmax flattened at axis 0', 9, [['LogSoftmax', ['x'], ['y'], { axis: 0 }]]],
    ['Softmax today', 13, [['Softmax', ['x'], ['y'], { axis: 1 }]]],
    [
      'Cast there and back',
      13,
      [
        ['Cast', ['x'], ['a'], { to: 'int32' }],
        ['Cast', ['a'], ['y'], { to: 'float32' }],
      ],
    ],
    [
      'Gemm of opset 7',
      7,
      [
        ['Flatten', ['x'], ['f']],
        ['Gemm', ['f', 'w', 'c'], ['y'], { alpha: 0.5, beta: 2, transB: 1 }],
      ],
      { w: randomTensor([7, 60], random), c: randomTensor([7], random) },
    ],
    [
      'auto_pad',
      11,
      [['Conv', ['x', 'k'], ['y'], { auto_pad: 'SAME_LOWER', strides: [2, 2], group: 3 }]],
      {
        k: randomTensor([6, 1, 3, 2], random),
      },
    ],
  ];
  for (const [name, opset, nodes, initializers] of cases) {
    it(`${name}, opset ${opset}`, async () => {
      const sketch: Sketch = {
        inputs: { x: [2, 3, 4, 5] },
        outputs: ['y'],
        nodes,
        ...(initializers && { initializers }),
      };
      await expectSameResults(sketch, opset, { x });
    });
  }
});

describe('the normal form', () => {
  it('leaves Softmax alone where the old and the new meaning agree', () => {
    const nodes: Sketch['nodes'] = [['Softmax', ['x'], ['y']]];
    const graph = load(sketchModel({ inputs: { x: ['batch', 10] }, outputs: ['y'], nodes }, 11));
    expect(graph.nodes.map(({ op, attributes }) => [op, attributes])).toEqual([['Softmax', { axis: -1 }]]);
  });

  it('removes Identity, Dropout and Constant, and keeps the names of outputs', () => {
    const graph = load(
      sketchModel(
        {
          inputs: { x: [1, 4] },
          outputs: ['y'],
          nodes: [
            ['Constant', [], ['two'], { value_float: 2 }],
            ['Mul', ['x', 'two'], ['a']],
            ['Dropout', ['a'], ['b']],
            ['Identity', ['b'], ['y']],
          ],
        },
        13,
      ),
    );
    expect(graph.nodes).toMatchObject([{ op: 'Mul', inputs: ['x', 'two'], outputs: ['y'] }]);
    expect([...graph.initializers.keys()]).toEqual(['two']);
  });

  it('drops initializers from the inputs, and names nodes without a name', () => {
    const bytes = sketchModel(
      {
        inputs: { x: [1, 4] },
        outputs: ['y'],
        nodes: [['Add', ['x', 'b'], ['y']]],
        initializers: { b: floatTensor([4], [1, 2, 3, 4]) },
      },
      8,
      (model) => {
        model.graph!.node[0]!.name = '';
      },
    );
    const graph = load(bytes);
    expect(graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(graph.nodes[0]!.name).toBe('Add_0');
  });

  it('sorts nodes that come in the wrong order', () => {
    const bytes = sketchModel(
      {
        inputs: { x: [2] },
        outputs: ['y'],
        nodes: [
          ['Relu', ['x'], ['a']],
          ['Tanh', ['a'], ['y']],
        ],
      },
      13,
      (model) => {
        model.graph!.node.reverse();
      },
    );
    expect(load(bytes).nodes.map(({ op }) => op)).toEqual(['Relu', 'Tanh']);
  });
});

describe('element types and where they are stored', () => {
  const sketch = (tensor: Tensor): Sketch => ({
    inputs: { x: [3] },
    outputs: ['y'],
    nodes: [['Add', ['x', 'w'], ['y']]],
    initializers: { w: tensor },
  });
  const values = [1, -2.5, 0.125];
  const widened = (edit: Parameters<typeof sketchModel>[2]): Tensor =>
    load(sketchModel(sketch(floatTensor([3], values)), 13, edit)).initializers.get('w')!;
  const raw = (data: Float64Array | Uint16Array): Uint8Array<ArrayBuffer> => new Uint8Array(data.buffer as ArrayBuffer);

  it.each([
    ['float16 as raw bytes', 10, { rawData: raw(Uint16Array.from(values, numberToFloat16)) }],
    ['float16 in int32_data', 10, { rawData: new Uint8Array(), int32Data: values.map(numberToFloat16) }],
    ['float64 as raw bytes', 11, { rawData: raw(Float64Array.from(values)) }],
    ['float64 in double_data', 11, { rawData: new Uint8Array(), doubleData: values }],
    ['float32 in float_data', 1, { rawData: new Uint8Array(), floatData: values }],
    ['bfloat16', 16, { rawData: raw(Uint16Array.of(0x3f80, 0xc020, 0x3e00)) }],
  ])('%s', (_, dataType, fields) => {
    const tensor = widened((model) => Object.assign(model.graph!.initializer[0]!, { dataType, ...fields }));
    expect(tensor).toEqual({ dtype: 'float32', shape: [3], data: Float32Array.from(values) });
  });

  it.each([
    ['int8', 3, [-1, 2, 127], Int8Array.of(-1, 2, 127)],
    ['uint8', 2, [0, 2, 255], Uint8Array.of(0, 2, 255)],
    ['int32', 6, [-1, 2, 3], Int32Array.of(-1, 2, 3)],
    ['bool', 9, [0, 1, 1], Uint8Array.of(0, 1, 1)],
  ])('%s in int32_data', (dtype, dataType, int32Data, data) => {
    const tensor = widened((model) =>
      Object.assign(model.graph!.initializer[0]!, { dataType, rawData: new Uint8Array(), int32Data }),
    );
    expect(tensor).toEqual({ dtype, shape: [3], data });
  });

  const external = (fields: Record<string, string>) =>
    sketchModel(sketch(floatTensor([3], values)), 13, (model) => {
      const tensor = model.graph!.initializer[0]!;
      tensor.dataLocation = 1;
      tensor.rawData = new Uint8Array();
      tensor.externalData = Object.entries(fields).map(([key, value]) => ({
        $typeName: 'onnx.StringStringEntryProto',
        key,
        value,
      }));
    });

  it('external data', () => {
    const asked: unknown[] = [];
    const graph = importOnnx(external({ location: 'sub/w.bin', offset: '8', length: '12' }), {
      fileName: 'm.onnx',
      readExternal: (...request) => {
        asked.push(request);
        return new Uint8Array(Float32Array.from(values).buffer);
      },
    });
    expect(asked).toEqual([['sub/w.bin', 8, 12]]);
    expect(graph.initializers.get('w')!.data).toEqual(Float32Array.from(values));
  });

  it.each([
    [{ location: '../w.bin' }, /outside the model's folder/],
    [{ location: 'a/../../w.bin' }, /outside the model's folder/],
    [{ location: '/etc/passwd' }, /outside the model's folder/],
    [{ location: 'C:\\w.bin' }, /outside the model's folder/],
    [{ location: '' }, /without a location/],
    [{ location: 'w.bin', offset: '-4' }, /no byte count/],
    [{ location: 'w.bin', offset: '1e3' }, /no byte count/],
    [{ location: 'w.bin', length: '99999999999999999999' }, /no byte count/],
    [{ location: 'w.bin', length: '8' }, /needs 12 bytes/],
  ])('refuses external data %j', (fields, message) => {
    const readExternal = (): Uint8Array => {
      throw new Error('must not be read');
    };
    expect(() => importOnnx(external(fields as Record<string, string>), { fileName: 'm.onnx', readExternal })).toThrow(
      message,
    );
  });
});

describe('refusals are one sentence that names file, node and operator', () => {
  const relu: Sketch = { inputs: { x: [2] }, outputs: ['y'], nodes: [['Relu', ['x'], ['y']]] };
  const good = sketchModel(relu, 13);
  const weighted = sketchModel(
    { ...relu, nodes: [['Add', ['x', 'w'], ['y']]], initializers: { w: floatTensor([2], [1, 2]) } },
    13,
  );

  it.each<[string, Uint8Array, RegExp]>([
    ['opset 6', editModel(good, (m) => void (m.opsetImport[0]!.version = 6n)), /^m\.onnx: .*opset 6; opsets 7 to 23/],
    ['opset 24', editModel(good, (m) => void (m.opsetImport[0]!.version = 24n)), /opset 24/],
    ['no opset', editModel(good, (m) => void (m.opsetImport = [])), /does not say/],
    [
      'another domain',
      editModel(good, (m) => void (m.graph!.node[0]!.domain = 'com.microsoft')),
      /'Relu_0' \(Relu\).*com\.microsoft/,
    ],
    [
      'a subgraph',
      editModel(good, (m) => void m.graph!.node[0]!.attribute.push(subgraphAttribute('body'))),
      /'Relu_0' \(Relu\) holds a subgraph/,
    ],
    ['no graph', editModel(good, (m) => void (m.graph = undefined)), /no graph/],
    ['no output', editModel(good, (m) => void (m.graph!.output = [])), /no output/],
    [
      'a missing value',
      editModel(good, (m) => void (m.graph!.node[0]!.input = ['z'])),
      /reads 'z', which nothing produces/,
    ],
    ['a cycle', editModel(good, (m) => void (m.graph!.node[0]!.input = ['y'])), /depends on its own output/],
    [
      'a value defined twice',
      editModel(good, (m) => void m.graph!.node.push(m.graph!.node[0]!)),
      /'y' is defined twice/,
    ],
    [
      'more claimed than there',
      editModel(weighted, (m) => void (m.graph!.initializer[0]!.dims = [1n << 40n])),
      /needs 4398046511104 bytes, but has 8/,
    ],
    [
      'an overflowing shape',
      editModel(weighted, (m) => void (m.graph!.initializer[0]!.dims = [1n << 40n, 1n << 40n])),
      /more elements than can be counted/,
    ],
    ['a negative dimension', editModel(weighted, (m) => void (m.graph!.initializer[0]!.dims = [-2n])), /dimension -2/],
    ['complex numbers', editModel(weighted, (m) => void (m.graph!.initializer[0]!.dataType = 14)), /COMPLEX64/],
    ['bytes that are no protobuf', Uint8Array.of(1, 2, 3), /^m\.onnx: not a valid ONNX model/],
    ['nothing', new Uint8Array(), /no graph/],
  ])('%s', (_, bytes, message) => {
    expect(() => load(bytes)).toThrow(InputError);
    expect(() => load(bytes)).toThrow(message);
  });

  it('a newer opset can be allowed', () => {
    expect(
      load(
        editModel(good, (m) => void (m.opsetImport[0]!.version = 25n)),
        25,
      ).nodes,
    ).toHaveLength(1);
  });
});
