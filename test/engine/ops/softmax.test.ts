import { describe, expect, it } from 'vitest';
import { softmaxGeometry } from '../../../src/engine/ops/softmaxPasses.ts';
import { checkGradients } from '../../support/gradient.ts';
import { randomFloats } from '../../support/numbers.ts';

describe.each(['Softmax', 'LogSoftmax'])('%s', (op) => {
  it.each([-1, 0, 1, 2, 3, -3])('works along axis %i', async (axis) => {
    await checkGradients({ op, attributes: { axis }, inputs: [{ shape: [3, 4, 2, 5] }] });
  });

  it.each([[[10]], [[7, 1]], [[3, 300]], [[70, 130]]])('works on %j', async (shape) => {
    const data = randomFloats(
      2,
      shape.reduce((product, length) => product * length, 1),
      -4,
      4,
    );
    await checkGradients({ op, inputs: [{ shape, data, wanted: data.length < 1000 }] });
  });

  it('works on a long axis with others behind it', async () => {
    await checkGradients({ op, attributes: { axis: 1 }, inputs: [{ shape: [2, 150, 2] }] });
  });
});

it('finds lines', () => {
  const node = { name: 's', op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: { axis: -2 } };
  expect(softmaxGeometry(node, [2, 3, 4, 5])).toEqual({ lines: 30, length: 4, inner: 5 });
});
