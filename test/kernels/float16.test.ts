import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/graph/tensor.ts';
import { float16ToNumber, float32ToFloat16, numberToFloat16 } from '../../src/kernels/float16.ts';
import { generator, sketchModel } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';

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
