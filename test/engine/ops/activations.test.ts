import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../../src/graph/tensor.ts';
import { checkGradients } from '../../support/gradient.ts';
import { randomFloats } from '../../support/numbers.ts';

// Away from the kinks, where no derivative exists.
const kinks = [0, -3, 3, -1.5, 2];
const data = randomFloats(3, 400, -5, 5).filter((x) => kinks.every((kink) => Math.abs(x - kink) > 0.01));
const shape = [data.length];

describe('activations', () => {
  it.each(['Relu', 'LeakyRelu', 'Sigmoid', 'Tanh', 'HardSwish'])('%s agrees with central differences', async (op) => {
    await checkGradients({ op, inputs: [{ shape, data }] });
  });

  it('LeakyRelu takes its slope', async () => {
    await checkGradients({ op: 'LeakyRelu', attributes: { alpha: 0.3 }, inputs: [{ shape, data }] });
  });

  it.each([
    [{ 1: floatTensor([], [-1.5]), 2: floatTensor([], [2]) }],
    [{ 1: floatTensor([], [-1.5]) }],
    [{ 2: floatTensor([1], [2]) }],
  ])('Clip takes the bounds it is given (%#)', async (constants) => {
    await checkGradients({ op: 'Clip', inputs: [{ shape, data }], constants });
  });

  it('is a check that fails where no derivative exists', async () => {
    const run = checkGradients({ op: 'Relu', inputs: [{ shape: [2], data: [0, 1] }] });
    await expect(run).rejects.toThrow(/Relu: gradient by input 0/);
  });
});
