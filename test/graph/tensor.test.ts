import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { castTensor } from '../../src/graph/fold/layout.ts';
import { clampToSafeInteger, floatTensor, numel, toFloat32, toNumbers } from '../../src/graph/tensor.ts';
import { float16ToNumber, float32ToFloat16, numberToFloat16 } from '../../src/kernels/float16.ts';
import { generator, sketchModel } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';

describe('numel', () => {
  it('multiplies, with 1 for a scalar and 0 for an empty axis', () => {
    expect(numel([])).toBe(1);
    expect(numel([2, 3, 4])).toBe(24);
    expect(numel([2, 0, 4])).toBe(0);
  });
  it.each([[[2 ** 27, 2 ** 27]], [[0, 2 ** 52, 4]], [[-1]], [[1.5]], [[Number.NaN]], [[2 ** 60]]])(
    'refuses %j',
    (shape) => {
      expect(() => numel(shape)).toThrow(InputError);
    },
  );
});

describe('float16', () => {
  it('every bit pattern survives the way there and back', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = float16ToNumber(bits);
      if (Number.isNaN(value)) expect(float16ToNumber(numberToFloat16(value))).toBeNaN();
      else if (numberToFloat16(value) !== bits) expect.fail(`bits ${bits} became ${numberToFloat16(value)}`);
    }
  });

  it('rounds as onnxruntime does', async () => {
    const random = generator(3);
    const values = Float32Array.from({ length: 20000 }, () => (random() - 0.5) * 2 ** Math.floor(random() * 50 - 30));
    // Halves between two float16, borders of the subnormals, of infinity and of powers of two.
    values.set([2 ** -25, 3 * 2 ** -25, 2 ** -14 - 2 ** -26, 65519.99, 65520, 65504, 2049, 2051, 1 - 2 ** -24, 0, -0]);
    const model = sketchModel(
      {
        inputs: { x: [values.length] },
        outputs: ['y'],
        nodes: [['Cast', ['x'], ['y'], { to: 'float16' }]],
        outputTypes: { y: 'float16' },
      },
      13,
    );
    const { y } = await runOnnxruntime(model, { x: floatTensor([values.length], values) });
    expect(float32ToFloat16(values)).toEqual(new Uint16Array(y!.data.buffer, y!.data.byteOffset, values.length));
  });
});

describe('conversions', () => {
  it('clamp 64-bit integers to the exact ones', () => {
    expect(clampToSafeInteger(2n ** 63n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(clampToSafeInteger(-(2n ** 63n))).toBe(Number.MIN_SAFE_INTEGER);
    expect(toNumbers({ dtype: 'int64', shape: [2], data: BigInt64Array.of(-3n, 2n ** 62n) })).toEqual([
      -3,
      2 ** 53 - 1,
    ]);
  });
  it('read float16 and bigints as float32', () => {
    expect(toFloat32({ dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc100) })).toEqual(
      Float32Array.of(1, -2.5),
    );
    expect(toFloat32({ dtype: 'int64', shape: [1], data: BigInt64Array.of(-7n) })).toEqual(Float32Array.of(-7));
  });
  it('cast as C does', () => {
    const x = floatTensor([4], [-1.75, 2.9, 0, 300]);
    expect(castTensor(x, 'int64').data).toEqual(BigInt64Array.of(-1n, 2n, 0n, 300n));
    expect(castTensor(x, 'bool').data).toEqual(Uint8Array.of(1, 1, 0, 1));
    expect(castTensor(castTensor(x, 'int64'), 'float32').data).toEqual(Float32Array.of(-1, 2, 0, 300));
    expect(castTensor(floatTensor([1], [Number.NaN]), 'int64').data).toEqual(BigInt64Array.of(0n));
  });
});
