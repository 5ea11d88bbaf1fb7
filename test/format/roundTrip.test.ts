import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeModel, isCompressedModel } from '../../src/format/decodeModel.ts';
import { describeModel } from '../../src/format/describeModel.ts';
import type { Layout, WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { findingIndices, readingCodes } from '../../src/format/unpackTensor.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { finish } from '../../src/kernels/steps.ts';
import { everyEncoding, integerCase } from './everyEncoding.ts';
import { graphOf, lenet, onGrid, randomSource } from './models.ts';

const name = { fileName: 'm.wgslim' };

function roundTrip(graph: Graph, encodings = new Map<string, WeightEncoding>(), meta = {}) {
  return decodeModel(encodeModel(graph, encodings, meta), name);
}

/** The bits of a float32 array, so that −0 and NaN count. */
function bits(data: ArrayBufferView): number[] {
  return Array.from(
    new Uint32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer),
  );
}

describe('integer encodings', () => {
  const layouts: Layout[] = ['dense', 'bitmap', 'gap'];
  const cases = layouts.flatMap((layout) => Array.from({ length: 8 }, (_, i) => [layout, i + 1] as const));
  it.each(cases)('%s, %i bits: every granularity gives back the same floats', (layout, width) => {
    const seed = randomSource(width);
    const grouping = fc.oneof(
      fc.constant({}),
      fc.nat(2).map((axis) => ({ axis })),
      fc.integer({ min: 1, max: 9 }).map((groupSize) => ({ groupSize })),
    );
    const dim = fc.integer({ min: 1, max: 6 });
    const flags = fc.record({
      zeroPoints: fc.boolean(),
      halfScales: fc.boolean(),
      sparsity: fc.constantFrom(0, 0.5, 0.95, 1),
    });
    fc.assert(
      fc.property(fc.tuple(dim, dim, dim), grouping, flags, (shape, group, options) => {
        const { tensor, encoding } = integerCase([...shape], width, group, { ...options, layout, random: seed });
        const { graph, encodings } = roundTrip(graphOf({ w: tensor }), new Map([['w', encoding]]));
        expect(bits(graph.initializers.get('w')!.data)).toEqual(bits(tensor.data));
        const stored = encodings.get('w')!;
        expect({ bits: stored.bits, layout: stored.layout, scale: stored.scale }).toEqual({
          bits: width,
          layout,
          scale: encoding.scale,
        });
        expect(stored.zeroPoint).toEqual(encoding.zeroPoint);
        // The packed form holds what a kernel needs.
        const positions = finish(findingIndices(stored, 'w'));
        expect(finish(readingCodes(stored)).length).toBe(positions?.length ?? tensor.data.length);
      }),
      { numRuns: 40 },
    );
  });

  it('store scales as float16 only where nothing is lost', () => {
    const bytes = (scale: number) => {
      const w = floatTensor([2], [scale, 2 * scale]);
      return roundTrip(
        graphOf({ w }),
        new Map([['w', { kind: 'int', bits: 4, scale: Float32Array.of(scale) }]]),
      ).encodings.get('w')!.bytes;
    };
    expect(bytes(0.25)).toBe(2 + 1);
    expect(bytes(Math.fround(0.1))).toBe(4 + 1);
  });

  it('refuse weights that are not on the grid or out of range', () => {
    const encode = (value: number, zeroPoint?: Int32Array) => () =>
      encodeModel(
        graphOf({ w: floatTensor([1], [value]) }),
        new Map([['w', { kind: 'int', bits: 3, scale: Float32Array.of(0.5), ...(zeroPoint && { zeroPoint }) }]]),
      );
    expect(encode(1.5)).not.toThrow();
    expect(encode(-2)).not.toThrow();
    expect(encode(2)).toThrow(/not scale 0.5 times/);
    expect(encode(1.5001)).toThrow(/not scale 0.5 times/);
    expect(encode(Number.NaN)).toThrow(/not scale 0.5 times/);
    expect(encode(3.5, Int32Array.of(0))).not.toThrow();
    expect(encode(-0.5, Int32Array.of(0))).toThrow(/not scale 0.5 times/);
    expect(encode(1.5, Int32Array.of(8))).toThrow(/zero point/);
  });

  it('accept a channel of zeros whose scale is zero', () => {
    const tensor = floatTensor([2, 2], [0, 0, 1, -1]);
    const encodings = new Map<string, WeightEncoding>([
      ['w', { kind: 'int', bits: 4, scale: Float32Array.of(0, 1), axis: 0 }],
    ]);
    expect(roundTrip(graphOf({ w: tensor }), encodings).graph.initializers.get('w')).toEqual(tensor);
  });

  it.each([
    [{ bits: 9 }, /9 bits/],
    [{ axis: 2 }, /axis 2/],
    [{ axis: 0, groupSize: 2 }, /both an axis and a group size/],
    [{ groupSize: 0 }, /group size/],
    [{ scale: Float32Array.of(1, 1) }, /2 scales, not 1/],
    [{ scale: Float32Array.of(-1) }, /negative/],
  ])('refuse the request %j', (change, message) => {
    const encoding = { kind: 'int' as const, bits: 4, scale: Float32Array.of(1), ...change };
    expect(() => encodeModel(graphOf({ w: floatTensor([2, 2], [0, 1, 2, 3]) }), new Map([['w', encoding]]))).toThrow(
      message,
    );
  });
});

describe('float encodings', () => {
  it('keep float32 to the bit, NaN and infinities too', () => {
    const special = Float32Array.of(0, -0, 1, -1.5, 1e-45, 3.4e38, Infinity, -Infinity, Number.NaN);
    const { graph } = roundTrip(graphOf({ w: floatTensor([9], special) }));
    expect(bits(graph.initializers.get('w')!.data)).toEqual(bits(special));
  });

  it('store a sparse float32 tensor sparse, −0 as 0', () => {
    const values = new Float32Array(2000).fill(-0);
    values[77] = 0.1;
    values[1999] = -3;
    const { graph, encodings } = roundTrip(graphOf({ w: floatTensor([2000], values) }));
    expect(encodings.get('w')!.layout).toBe('gap');
    expect(encodings.get('w')!.bytes).toBeLessThan(40);
    expect(Array.from(graph.initializers.get('w')!.data as Float32Array)).toEqual(Array.from(values, (v) => v + 0));
  });

  // From IEEE 754 binary16 (largest subnormal 1023·2^-24, smallest normal 2^-14, largest 65504) and ties to even.
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [1 / 3, 0x3555],
    [65504, 0x7bff],
    [65519.996, 0x7bff],
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -24, 0x03ff],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.0001, 0x0001],
    [3 * 2 ** -25, 0x0002],
    [5 * 2 ** -25, 0x0002],
    [1023.5 * 2 ** -24, 0x0400],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [2 - 2 ** -11, 0x4000],
    [2047.5, 0x6800],
    [Infinity, 0x7c00],
    [-Infinity, 0xfc00],
    [Number.NaN, 0x7e00],
  ])('round %d to the float16 %d', (value, half) => {
    const { encodings } = roundTrip(
      graphOf({ w: floatTensor([1], [value]) }),
      new Map([['w', { kind: 'f16', layout: 'dense' }]]),
    );
    const [low, high] = encodings.get('w')!.values;
    expect(low! + 256 * high!).toBe(half);
  });

  it('give all 65,536 float16 values back', () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = Float32Array.from(halves, (half) => {
      const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
      const magnitude =
        exponent === 31
          ? fraction
            ? Number.NaN
            : Infinity
          : exponent
            ? 2 ** (exponent - 15) * (1 + fraction / 1024)
            : fraction * 2 ** -24;
      return half >> 15 ? -magnitude : magnitude;
    });
    const { graph } = roundTrip(
      graphOf({ w: floatTensor([65536], values) }),
      new Map([['w', { kind: 'f16', layout: 'dense' }]]),
    );
    const found = graph.initializers.get('w')!.data as Float32Array;
    expect(found.findIndex((value, i) => !Object.is(value, values[i]))).toBe(-1);
  });

  it('refuse a float16 that would overflow', () => {
    const encode = () => encodeModel(graphOf({ w: floatTensor([1], [65520]) }), new Map([['w', { kind: 'f16' }]]));
    expect(encode).toThrow(InputError);
    expect(encode).toThrow(/w holds 65520, but float16 ends at 65504/);
  });
});

describe('a whole model', () => {
  it('comes back with its graph, types, order and meta', () => {
    const { graph, encodings, meta } = everyEncoding();
    const model = roundTrip(graph, encodings, meta);
    for (const [tensor, { kind, layout }] of model.encodings) {
      const asked = encodings.get(tensor);
      if (asked) expect({ kind, layout }).toEqual({ kind: asked.kind, layout: asked.layout });
    }
    expect([...model.graph.initializers.keys()]).toEqual([...graph.initializers.keys()]);
    for (const [tensor, { kind }] of encodings) {
      if (kind !== 'f16') expect(model.graph.initializers.get(tensor)).toEqual(graph.initializers.get(tensor));
    }
    expect({ ...model.graph, initializers: null }).toEqual({ ...graph, initializers: null });
    expect(model.meta).toEqual(meta);
  });

  it('keeps attributes of every kind', () => {
    const tensor = { dtype: 'float64' as const, shape: [2], data: Float64Array.of(1.1, -2) };
    const graph = graphOf({ w: floatTensor([1], [1]) });
    graph.nodes[0]!.attributes = {
      ...{
        int: 3,
        float: 0.1,
        infinite: -Infinity,
        nan: Number.NaN,
        minus: -0,
        text: 'inf',
        empty: [],
        ints: [1, -2, 3],
      },
      ...{ floats: [0.5, Infinity, -0], strings: ['a', 'b'], tensor, twin: tensor, '12': 1 },
    };
    graph.nodes.push({ name: 'end', op: 'Split', inputs: ['y', '', 'w'], outputs: ['p', '', 'q'], attributes: {} });
    expect(roundTrip(graph).graph).toEqual(graph);
  });

  it('is written in topological order and refused when it is no graph', () => {
    const graph = graphOf({ w: floatTensor([1], [1]) });
    graph.nodes.unshift({ name: 'after', op: 'Relu', inputs: ['y'], outputs: ['z'], attributes: {} });
    expect(roundTrip(graph).graph.nodes.map((node) => node.name)).toEqual(['only', 'after']);
    graph.nodes[1]!.inputs = ['z'];
    expect(() => encodeModel(graph, new Map())).toThrow(InputError);
  });

  it('has the same bytes each time, and when it is decoded and encoded again', () => {
    const { graph, encodings, meta } = lenet(0.9, 4);
    const first = encodeModel(graph, encodings, meta);
    expect(encodeModel(graph, encodings, meta)).toEqual(first);
    const again = decodeModel(first, name);
    expect(encodeModel(again.graph, encodings, again.meta)).toEqual(first);
    expect(isCompressedModel(first)).toBe(true);
    expect(isCompressedModel(Uint8Array.of(8, 3, 18, 0))).toBe(false);
  });

  it('keeps tables as float32 or, where nothing is lost, as float16', () => {
    const bytesOf = (table: Float32Array) => {
      const values = Float32Array.from({ length: 64 }, (_, i) => Math.fround(0.5 * table[i % 4]!));
      const graph = graphOf({ w: floatTensor([8, 8], [...values]) });
      const encoding: WeightEncoding = { kind: 'table', bits: 2, table, scale: Float32Array.of(0.5), layout: 'dense' };
      const model = roundTrip(graph, new Map([['w', encoding]]));
      expect(model.graph.initializers.get('w')?.data).toEqual(values);
      expect(model.encodings.get('w')?.table).toEqual(table);
      return model.encodings.get('w')?.bytes;
    };
    expect(bytesOf(Float32Array.of(-1, 0, 0.25, 1))).toBe(4 * 2 + 2 + 16);
    expect(bytesOf(Float32Array.of(-1, 0, 0.1, 1))).toBe(4 * 4 + 2 + 16);
  });

  it('refuses weights that are not on their table, and tables of another length', () => {
    const graph = graphOf({ w: floatTensor([2], [1, 0.3]) });
    const encode = (table: Float32Array) => () =>
      encodeModel(graph, new Map([['w', { kind: 'table', bits: 1, table, scale: Float32Array.of(1) }]]));
    expect(encode(Float32Array.of(1, 0.5))).toThrow(/Element 1 of w is 0\.3.*not scale 1 times an entry/);
    expect(encode(Float32Array.of(1, 0.5, 2))).toThrow(/its table has not 2 finite values/);
    expect(encode(Float32Array.of(1, Number.NaN))).toThrow(/its table has not 2 finite values/);
  });

  it('of version 1 stays readable', () => {
    const file = readFileSync(new URL('./fixtures/v1.wgslim', import.meta.url));
    const { graph, encodings, meta } = everyEncoding({ tables: false });
    const model = decodeModel(file, name);
    const expected = roundTrip(graph, encodings, meta);
    expect(model.graph).toEqual(expected.graph);
    expect(model.meta).toEqual(meta);
  });

  it('refuses requests for tensors that are not there or not float32', () => {
    const graph = graphOf({ w: { dtype: 'int32', shape: [1], data: Int32Array.of(1) } });
    expect(() => encodeModel(graph, new Map([['v', { kind: 'f32' }]]))).toThrow(/no initializer v/);
    expect(() => encodeModel(graph, new Map([['w', { kind: 'f32' }]]))).toThrow(/w is int32/);
  });
});

describe('size', () => {
  it('of LeNet-5 is more than 20 times smaller at 93 % zeros and 4 bits, JSON and all', () => {
    const { graph, encodings, meta } = lenet(0.93, 4);
    const parameters = [...graph.initializers.values()].reduce((n, { data }) => n + data.length, 0) - 2;
    expect(parameters).toBe(61_706);
    const file = encodeModel(graph, encodings, meta);
    expect(file.length).toBeLessThan(9000);
    expect((4 * parameters) / file.length).toBeGreaterThan(27);
  });

  it('of dense 3-bit weights is three bits each', () => {
    const { tensor, encoding } = onGrid([64, 999], 3, 0, randomSource(1));
    const { encodings } = roundTrip(graphOf({ w: tensor }), new Map([['w', encoding]]));
    const { layout, values, bytes } = encodings.get('w')!;
    expect({ layout, values: values.length, bytes }).toEqual({
      layout: 'dense',
      values: (64 * 999 * 3) / 8,
      bytes: (64 * 999 * 3) / 8 + 64 * 4,
    });
  });

  it('is that of the smallest layout', () => {
    for (const sparsity of [0, 0.05, 0.2, 0.5, 0.7, 0.9, 0.99, 1]) {
      const { tensor, encoding } = onGrid([50, 100], 4, sparsity, randomSource(3));
      const size = (layout?: Layout) => {
        const request = { ...encoding, ...(layout && { layout }) };
        return encodeModel(graphOf({ w: tensor }), new Map([['w', request]])).length;
      };
      // An 8-byte step of padding and a digit more or less in the JSON are not worth choosing for.
      expect(size()).toBeLessThanOrEqual(Math.min(size('dense'), size('bitmap'), size('gap')) + 40);
    }
  });

  it('adds up in the description', () => {
    const { graph, encodings, meta } = everyEncoding();
    const file = encodeModel(graph, encodings, meta);
    const description = describeModel(file, name);
    const sum = description.tensors.reduce((total, { bytes }) => total + bytes, description.headerBytes);
    expect(sum + description.otherBytes).toBe(file.length);
    expect(description.otherBytes).toBe(0);
    const weights = graph.initializers.get('block.int3.gap')!.data as Float32Array;
    const found = description.tensors.find((tensor) => tensor.name === 'block.int3.gap')!;
    expect(found).toMatchObject({
      encoding: 'int.gap',
      bits: 3,
      parameters: 84,
      nonzero: weights.filter((w) => w !== 0).length,
    });
  });
});
