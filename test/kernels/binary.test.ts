import { describe, expect, it } from 'vitest';
import { binary, expand, operandMap } from '../../src/kernels/binary.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { mergeBroadcast } from '../../src/kernels/strides.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { broadcast } from '../support/reference/binary.ts';
import { array64 } from '../support/reference/reference.ts';

describe('operandMap', () => {
  const mapOfB = (a: number[], b: number[], out: number[]) => operandMap(mergeBroadcast(a, b, out), 'b');
  it.each([
    [[2, 3], [2, 3], [2, 3], { map: 0 }],
    [[2, 3, 4, 5], [], [2, 3, 4, 5], { map: 1, div: 1, mod: 1 }],
    [[2, 3, 4, 5], [3, 1, 1], [2, 3, 4, 5], { map: 1, div: 20, mod: 3 }],
    [[7, 10], [10], [7, 10], { map: 1, div: 1, mod: 10 }],
    [[7, 10], [7, 1], [7, 10], { map: 1, div: 10, mod: 7 }],
    [[2, 3, 4], [2, 1, 4], [2, 3, 4], { map: 2 }],
  ])('reads b of %j op %j', (a, b, out, expected) => {
    expect(mapOfB(a, b, out)).toEqual(expected);
  });
});

describe('binary', () => {
  it.each([
    ['add', [65, 3], [3]],
    ['sub', [3, 1], [65]],
    ['mul', [2, 3, 5, 7], [3, 1, 1]],
    ['div', [2, 1, 2, 1, 3], [1, 2, 1, 2, 1]],
  ] as const)('%s scales its result', async (f, aShape, bShape) => {
    const recorder = new DirectRecorder(await testGpu());
    const count = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
    const [a, b] = [randomFloats(1, count(aShape)), randomFloats(2, count(bShape), 0.5, 2)];
    const functions = {
      add: (x, y) => x + y,
      sub: (x, y) => x - y,
      mul: (x, y) => x * y,
      div: (x, y) => x / y,
    } as const satisfies Record<string, (x: number, y: number) => number>;
    const expected = broadcast(array64(aShape, a), array64(bShape, b), (x, y) => 3 * functions[f](x, y));
    const out = recorder.temporary('f32', expected.data.length);
    const operands = { a: recorder.upload('f32', a), b: recorder.upload('f32', b), out };
    binary(recorder, { f, ...operands, aShape, bShape, shape: expected.shape, scale: 3 });
    await recorder.run();
    expect(relativeError(await recorder.read(out), expected.data)).toBeLessThan(1e-6);
    recorder.dispose();
  });

  it('follows IEEE 754 in the division by zero', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const out = recorder.temporary('f32', 2);
    const a = recorder.upload('f32', Float32Array.of(1, -1));
    const b = recorder.upload('f32', Float32Array.of(0));
    binary(recorder, { f: 'div', a, b, out, aShape: [2], bShape: [1], shape: [2] });
    await recorder.run();
    expect([...(await recorder.read(out))]).toEqual([Infinity, -Infinity]);
    recorder.dispose();
  });

  it('expands', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const out = recorder.temporary('f32', 12);
    const x = recorder.upload('f32', Float32Array.of(1, 2, 3, 4));
    expand(recorder, { x, out, xShape: [2, 1, 2], shape: [2, 3, 2], scale: 0.5 });
    await recorder.run();
    expect([...(await recorder.read(out))]).toEqual([0.5, 1, 0.5, 1, 0.5, 1, 1.5, 2, 1.5, 2, 1.5, 2]);
    recorder.dispose();
  });

  it('refuses more alternations of axes than it can walk', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const aShape = [2, 1, 2, 1, 2, 1, 2, 1, 2];
    const bShape = [1, 2, 1, 2, 1, 2, 1, 2, 1];
    const shape = aShape.map(() => 2);
    const [a, b, out] = [recorder.temporary('f32', 32), recorder.temporary('f32', 16), recorder.temporary('f32', 512)];
    expect(() => binary(recorder, { f: 'add', a, b, out, aShape, bShape, shape })).toThrow(/at most 8 are supported/);
    recorder.dispose();
  });
});
