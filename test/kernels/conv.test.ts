import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { conv } from '../../src/kernels/conv.ts';
import { convAlternatives } from '../../src/kernels/convAlternatives.ts';
import { convGradInput } from '../../src/kernels/convGradInput.ts';
import { convGradWeight } from '../../src/kernels/convGradWeight.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { conv as reference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';

type Attributes = Record<string, number | number[]>;

// Larger than a tile in every direction; small sizes and gradients of every setting are checked with the operator.
const cases: [name: string, x: number[], w: number[], attributes: Attributes][] = [
  ['3x3', [2, 5, 19, 17], [21, 5, 3, 3], { pads: [1, 1, 1, 1] }],
  ['3x3, stride 2', [2, 16, 16, 16], [18, 16, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ['one image', [1, 3, 40, 33], [4, 3, 5, 5], {}],
  ['groups', [2, 12, 9, 11], [18, 4, 3, 2], { group: 3, dilations: [2, 1] }],
  ['groups of many channels, stride 2', [1, 40, 9, 9], [66, 20, 3, 3], { group: 2, strides: [2, 2] }],
  ['depthwise', [2, 70, 9, 9], [70, 1, 3, 3], { group: 70, pads: [1, 1, 1, 1] }],
  ['depthwise, stride 2', [2, 6, 13, 14], [6, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1], strides: [2, 2] }],
  [
    'a single row of which one tap reaches a pixel',
    [1, 5, 1, 6],
    [7, 5, 3, 1],
    { strides: [2, 1], pads: [1, 0, 1, 0] },
  ],
  ['1x1, stride 2, padded to as many pixels', [2, 20, 3, 3], [35, 20, 1, 1], { strides: [2, 2], pads: [1, 1, 1, 1] }],
  ['1x1, many images of few pixels', [9, 20, 3, 3], [35, 20, 1, 1], {}],
  ['1x1', [2, 33, 9, 9], [40, 33, 1, 1], {}],
];

const bilinear = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);

describe.each(KINDS)('convolution as a %s computes it', (kind) => {
  it.each(cases)('%s', async (_, xShape, wShape, attributes) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
    const shape = convGeometry(node, xShape, wShape);
    const elements = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
    const xData = randomFloats(1, elements(xShape));
    const wData = randomFloats(2, elements(wShape));
    const bData = randomFloats(3, wShape[0]!);
    const inputs = [array64(xShape, xData), array64(wShape, wData), array64([wShape[0]!], bData)];
    const expected = reference({ attributes, inputs, training: false })[0]!;
    const [x, weights, bias] = [xData, wData, bData].map((data) => recorder.upload('f32', data));
    const [out, bounded] = [0, 1].map(() => recorder.temporary('f32', expected.data.length));
    conv(of, { x: x!, weights: weights!, bias, out: out!, shape, alternatives: convAlternatives });
    conv(of, { x: x!, weights: weights!, bias, out: bounded!, shape, lo: 0, hi: 1.5 });

    const dyData = randomFloats(4, expected.data.length);
    const dy = recorder.upload('f32', dyData);
    const dx = recorder.temporary('f32', xData.length);
    const dws = [0, 1].map(() => recorder.temporary('f32', wData.length));
    convGradInput(of, { dy, weights: weights!, dx, shape });
    for (const dw of dws) convGradWeight(of, { x: x!, dy, dw, shape });
    await recorder.run();

    const y = await recorder.read(out!);
    expect(relativeError(y, expected.data)).toBeLessThan(1e-5);
    expect(
      relativeError(
        await recorder.read(bounded!),
        expected.data.map((value) => Math.min(1.5, Math.max(0, value))),
      ),
    ).toBeLessThan(1e-5);

    // The result is linear in x and in w, so that ⟨dy, y(x', w)⟩ = ⟨dx, x'⟩ and ⟨dy, y(x, w')⟩ = ⟨dw, w'⟩ for all x', w'.
    const [dxData, dwData, again] = [
      await recorder.read(dx),
      await recorder.read(dws[0]!),
      await recorder.read(dws[1]!),
    ];
    for (let probe = 0; probe < 3; probe++) {
      const other = array64(xShape, randomFloats(10 + probe, xData.length));
      const through = reference({ attributes, inputs: [other, inputs[1]], training: false })[0]!;
      expect(bilinear(dxData, other.data)).toBeCloseTo(bilinear(dyData, through.data), 2);
      const otherW = array64(wShape, randomFloats(20 + probe, wData.length));
      const throughW = reference({ attributes, inputs: [inputs[0], otherW], training: false })[0]!;
      expect(bilinear(dwData, otherW.data)).toBeCloseTo(bilinear(dyData, throughW.data), 2);
    }
    expect(again).toEqual(dwData);
    recorder.dispose();
  });
});
