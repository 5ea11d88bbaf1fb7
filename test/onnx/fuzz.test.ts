import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { inspectGraph } from '../../src/graph/inspect.ts';
import { inferShapeOfOperator } from '../../src/graph/shapes.ts';
import { specialize } from '../../src/graph/specialize.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { exportQuantized } from '../../src/onnx/exportQuantized.ts';
import { importOnnx } from '../../src/onnx/import.ts';
import { editModel, generator, randomTensor, sketchGraph, sketchModel } from './build.ts';

type Random = () => number;
const random: Random = generator(2024);
const below = (count: number): number => Math.floor(random() * count);
const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;

const lenet = exportOnnx(
  sketchGraph({
    inputs: { x: ['batch', 1, 8, 8] },
    outputs: ['p'],
    nodes: [
      [
        'Conv',
        ['x', 'w', 'b'],
        ['c'],
        { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], dilations: [1, 1], group: 1 },
      ],
      ['BatchNormalization', ['c', 's', 'b', 'b', 'v'], ['n'], { epsilon: 0.001 }],
      ['Clip', ['n', 'low'], ['r']],
      ['AveragePool', ['r'], ['m'], { kernel_shape: [2, 2], auto_pad: 'SAME_UPPER', ceil_mode: 0 }],
      ['Flatten', ['m'], ['f'], { axis: 1 }],
      ['Gemm', ['f', 'w2'], ['g'], { transB: 1, alpha: 0.5 }],
      ['Softmax', ['g'], ['p'], { axis: -1 }],
    ],
    initializers: {
      w: randomTensor([2, 1, 3, 3], random),
      b: randomTensor([2], random),
      s: randomTensor([2], random),
      v: floatTensor([2], [1, 2]),
      low: floatTensor([], [0]),
      w2: randomTensor([3, 32], random),
    },
  }),
);

/** Everything that computes shapes, in an old opset, so that both the upgrades and the folding are in the way. */
const shapes = sketchModel(
  {
    inputs: { x: [1, 4, 6] },
    outputs: ['y'],
    nodes: [
      ['Shape', ['x'], ['s']],
      ['Constant', [], ['two'], { value: { ...int64Tensor([2]), shape: [] } }],
      ['Gather', ['s', 'two'], ['last'], { axis: 0 }],
      ['Unsqueeze', ['last'], ['last1'], { axes: [0] }],
      ['Mul', ['last1', 'k'], ['wide']],
      ['Div', ['wide', 'k'], ['narrow']],
      ['Slice', ['s'], ['head'], { starts: [0], ends: [1], axes: [0] }],
      ['Concat', ['head', 'm', 'narrow'], ['t'], { axis: 0 }],
      ['Cast', ['t'], ['t64'], { to: 'int64' }],
      ['Reshape', ['x', 't64'], ['a']],
      ['ConstantOfShape', ['narrow'], ['zeros'], { value: floatTensor([1], [0.5]) }],
      ['Add', ['a', 'zeros'], ['b']],
      ['Pad', ['b'], ['c'], { pads: [0, 0, 1, 0, 0, 1], mode: 'constant', value: 1 }],
      ['Transpose', ['c'], ['d'], { perm: [0, 2, 1] }],
      ['Split', ['d'], ['e', 'g'], { axis: 2, split: [1, 3] }],
      ['Concat', ['g', 'e'], ['h'], { axis: 2 }],
      ['ReduceMean', ['h'], ['i'], { axes: [1], keepdims: 1 }],
      ['Squeeze', ['i'], ['j'], { axes: [1] }],
      ['Softmax', ['j'], ['y'], { axis: 1 }],
    ],
    initializers: { k: int64Tensor([3]), m: int64Tensor([-1]) },
  },
  9,
);

/** Integer weights, quantized activations and a packed product. */
const quantized = exportQuantized(
  sketchGraph({
    inputs: { x: ['batch', 1, 4, 4] },
    outputs: ['y'],
    nodes: [
      ['wgslim.FakeQuantize', ['x', 'sx'], ['q'], { bits: 7, signed: 1, narrow: 0, axis: -1 }],
      ['Conv', ['q', 'w'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ['Flatten', ['c'], ['f'], { axis: 1 }],
      ['wgslim.FakeQuantize', ['f', 'sf'], ['g'], { bits: 8, signed: 0, narrow: 0, axis: -1 }],
      ['Gemm', ['g', 'w2', 'b'], ['y'], { transB: 1 }],
    ],
    initializers: {
      sx: floatTensor([1], [0.1]),
      sf: floatTensor([1], [0.2]),
      w: floatTensor([2, 1, 3, 3], new Float32Array(18)),
      w2: floatTensor([3, 32], new Float32Array(96)),
      b: randomTensor([3], random),
    },
  }),
  new Map([
    ['w', { shape: [2, 1, 3, 3], bits: 4, codes: new Int8Array(18), scale: Float32Array.of(1, 2), axis: 0 }],
    ['w2', { shape: [3, 32], bits: 4, codes: new Int8Array(96), scale: new Float32Array(6).fill(1), groupSize: 16 }],
  ]),
  { packed: true },
).bytes;

const cntk = join(process.env.WGSLIM_DATA ?? '../shared/data', 'models/mnist-cntk.onnx');
const seeds = [lenet, shapes, quantized, ...(existsSync(cntk) ? [new Uint8Array(readFileSync(cntk))] : [])];

/** Flipped bits, absurd bytes (0xff makes varints long), cuts, repeats, insertions. */
function mutateBytes(source: Uint8Array): Uint8Array {
  const bytes = source.slice();
  switch (below(6)) {
    case 0:
      return bytes.subarray(0, below(bytes.length));
    case 1: {
      const [from, to] = [below(bytes.length), below(bytes.length)];
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    }
    case 2: {
      const at = below(bytes.length);
      const varint = Array.from({ length: 1 + below(10) }, () => 0xff);
      return Buffer.concat([bytes.subarray(0, at), Uint8Array.of(...varint, below(128)), bytes.subarray(at)]);
    }
    case 3: {
      bytes.fill(below(256), below(bytes.length), below(bytes.length));
      return bytes;
    }
    default: {
      for (let count = 1 + below(4); count > 0; count--) {
        // Most of a model is weights, whose bytes matter little: aim at the start and the end as well.
        const at = pick([below(bytes.length), below(Math.min(bytes.length, 400)), bytes.length - 1 - below(200)]);
        bytes[at] = random() < 0.5 ? bytes[at]! ^ (1 << below(8)) : pick([0, 1, 0x7f, 0x80, 0xff]);
      }
      return bytes;
    }
  }
}

const absurd = [0n, 1n, -1n, 2n, 7n, 1000n, 1n << 31n, 1n << 40n, (1n << 62n) + 1n, (1n << 63n) - 1n, -(1n << 63n)];

/** Valid protobuf with absurd content. */
function mutateModel(source: Uint8Array): Uint8Array {
  return editModel(source, (model: ModelProto) => {
    const graph = model.graph!;
    for (let count = 1 + below(3); count > 0; count--) {
      const node = pick(graph.node);
      const attribute = node.attribute.length > 0 ? pick(node.attribute) : undefined;
      const tensor = graph.initializer.length > 0 ? pick(graph.initializer) : attribute?.t;
      const names = graph.node.flatMap(({ input, output }) => [...input, ...output]);
      switch (below(12)) {
        case 0:
          if (tensor) tensor.dims = tensor.dims.map((dim) => (random() < 0.5 ? pick(absurd) : dim));
          break;
        case 1:
          if (tensor) tensor.dims = Array.from({ length: below(6) }, () => pick(absurd));
          break;
        case 2:
          if (tensor) tensor.dataType = below(30);
          break;
        case 3:
          if (tensor) tensor.rawData = tensor.rawData.slice(0, below(tensor.rawData.length + 1));
          break;
        case 4:
          if (attribute) attribute.i = pick(absurd);
          break;
        case 5:
          if (attribute) attribute.ints = Array.from({ length: below(6) }, () => pick(absurd));
          break;
        case 6:
          if (attribute) attribute.type = below(16);
          break;
        case 7:
          node.input[below(node.input.length + 1)] = pick([...names, '', 'nowhere']);
          break;
        case 8:
          node.opType = pick([...graph.node.map(({ opType }) => opType), 'Tile', 'Range', 'Expand', 'constructor', '']);
          break;
        case 9:
          node.output[below(node.output.length + 1)] = pick([...names, '', 'elsewhere']);
          break;
        case 10: {
          const shape = pick(graph.input).type?.value;
          if (shape?.case !== 'tensorType') break;
          for (const dim of shape.value.shape?.dim ?? []) {
            if (random() < 0.5) dim.value = { case: 'dimValue', value: pick(absurd) };
          }
          break;
        }
        default:
          // Values of shape tensors.
          if (tensor?.dataType === 7) {
            const values = BigInt64Array.from({ length: tensor.rawData.length / 8 }, () => pick(absurd));
            tensor.rawData = new Uint8Array(values.buffer);
          }
      }
    }
  });
}

/** Whether the mutated model was accepted; anything but acceptance and InputError fails the test. */
function attempt(bytes: Uint8Array): boolean {
  try {
    const graph = importOnnx(bytes, { fileName: 'fuzz.onnx' });
    specialize(graph, inferShapeOfOperator, { batch: 3 });
    inspectGraph(graph, inferShapeOfOperator);
    return true;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).toMatch(/^\S.*[^.\s]$/s);
    return false;
  }
}

describe('mutated models are imported or refused in a sentence', () => {
  it.each([
    ['bytes', mutateBytes, 3000],
    ['messages', mutateModel, 3000],
  ] as const)(
    '%s',
    (_, mutate, rounds) => {
      const seen = { accepted: 0, refused: 0 };
      let slowest = 0;
      let largest = 0;
      for (let round = 0; round < rounds; round++) {
        // The real model is large and slow to decode: less often.
        const source = round % 8 === 7 ? seeds.at(-1)! : seeds[round % 2]!;
        const bytes = mutate(source);
        const held = process.memoryUsage().arrayBuffers;
        const start = performance.now();
        try {
          seen[attempt(bytes) ? 'accepted' : 'refused']++;
        } catch (error) {
          const model = Buffer.from(bytes.length < 3000 ? bytes : bytes.subarray(0, 200)).toString('base64');
          throw new Error(`round ${round} ended with ${(error as Error).stack}\n${model}`);
        }
        slowest = Math.max(slowest, performance.now() - start);
        largest = Math.max(largest, process.memoryUsage().arrayBuffers - held);
      }
      // Both outcomes must occur, or the mutations are too mild or too wild to test anything.
      expect(seen.accepted).toBeGreaterThan(rounds / 50);
      expect(seen.refused).toBeGreaterThan(rounds / 10);
      expect(slowest).toBeLessThan(2000);
      expect(largest).toBeLessThan(2 ** 29);
    },
    30_000,
  );

  it('the seeds themselves are accepted', () => {
    for (const seed of seeds) {
      const graph = importOnnx(seed, { fileName: 'fuzz.onnx' });
      specialize(graph, inferShapeOfOperator, { batch: 3 });
      expect(attempt(seed)).toBe(true);
    }
  });

  it('a message nested to the limit', () => {
    const depth = 20000;
    // GraphProto in AttributeProto in NodeProto in GraphProto …: fields 6, 5 and 1, each of the length that follows.
    const parts: number[][] = [];
    let length = 0;
    for (let level = 0; level < depth; level++) {
      for (const tag of [0x32, 0x2a, 0x0a]) {
        const varint: number[] = [];
        let rest = length;
        do {
          varint.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
          rest >>>= 7;
        } while (rest > 0);
        parts.push([tag, ...varint]);
        length += 1 + varint.length;
      }
    }
    const inner = parts.reverse().flat();
    const model = [...toBinary(ModelProtoSchema, editable()), 0x3a];
    let rest = inner.length;
    do {
      model.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
      rest >>>= 7;
    } while (rest > 0);
    expect(() => importOnnx(Uint8Array.from([...model, ...inner]), { fileName: 'deep.onnx' })).toThrow(InputError);
  });
});

/** A model message that has everything but a graph. */
function editable(): ModelProto {
  let result: ModelProto | undefined;
  editModel(lenet, (model) => {
    model.graph = undefined;
    result = model;
  });
  return result!;
}
