import { describe, expect, it } from 'vitest';
import { initializerRoles } from '../../src/engine/parameters.ts';
import { testGpu } from '../support/gpu.ts';
import { gradientError } from '../support/gradient.ts';
import { NetworkBuilder } from '../support/networks.ts';
import { randomFloats } from '../support/numbers.ts';
import { runGraph } from '../support/runGraph.ts';
import { tensorflowGradients } from '../support/tensorflow.ts';

const same = { pads: [1, 1, 1, 1] };
const window = { kernel_shape: [2, 2], strides: [2, 2] };

const networks: Record<string, () => NetworkBuilder> = {
  'a convolutional network': () =>
    new NetworkBuilder('cnn', [5, 3, 12, 12])
      .conv(3, 6, 3, same)
      .batchNorm(6)
      .node('Relu')
      .node('MaxPool', undefined, window)
      .conv(6, 8, 3, { ...same, strides: [2, 2] }, true)
      .node('Relu')
      .conv(8, 8, 3, { pads: [2, 2, 2, 2], dilations: [2, 2], group: 2 }, true)
      .node('LeakyRelu', undefined, { alpha: 0.1 })
      .conv(8, 6, 2, {}, true)
      .node('AveragePool', undefined, { kernel_shape: [2, 2] })
      .node('Flatten')
      .gemm(6, 10)
      .node('LogSoftmax'),

  'a multi-layer perceptron': () =>
    new NetworkBuilder('mlp', [7, 20])
      .dense(20, 16)
      .node('Tanh')
      .dense(16, 12)
      .node('Sigmoid')
      .gemm(12, 5)
      .node('LogSoftmax'),

  'a network with residual additions': () => {
    const net = new NetworkBuilder('residual', [4, 3, 8, 8]).conv(3, 6, 3, same).batchNorm(6).node('Relu');
    const first = net.last;
    net.conv(6, 6, 3, same).batchNorm(6).node('Relu').conv(6, 6, 3, same).batchNorm(6);
    net.node('Add', [net.last, first]).node('Relu');
    const second = net.last;
    net.conv(6, 10, 1, { strides: [2, 2] }).batchNorm(10);
    const shortcut = net.last;
    net
      .from(second)
      .conv(6, 10, 3, { ...same, strides: [2, 2] })
      .batchNorm(10);
    net.node('Add', [shortcut, net.last]).node('Relu');
    return net.node('GlobalAveragePool').node('Flatten').gemm(10, 4).node('LogSoftmax');
  },

  'a network with depthwise convolutions and an attention to channels': () => {
    const net = new NetworkBuilder('depthwise', [3, 3, 9, 9])
      .conv(3, 8, 3, { strides: [2, 2] })
      .batchNorm(8)
      .node('Relu');
    net
      .conv(8, 8, 3, { ...same, group: 8 })
      .batchNorm(8)
      .node('Relu');
    const features = net.last;
    net.node('GlobalAveragePool').conv(8, 4, 1, {}, true).node('Relu').conv(4, 8, 1, {}, true).node('Sigmoid');
    net.node('Mul', [features, net.last]).conv(8, 12, 1).batchNorm(12).node('Relu');
    return net.node('GlobalAveragePool').node('Flatten').gemm(12, 6).node('LogSoftmax');
  },
};

describe.each(Object.keys(networks))('%s', (name) => {
  it.each([true, false])('has the loss and the gradients of TensorFlow.js (training: %s)', async (training) => {
    const net = networks[name]!();
    const graph = net.finish();
    const shape = graph.inputs[0]!.shape as number[];
    const elements = shape.reduce((product, length) => product * length, 1);
    const inputs = { x: randomFloats(77, elements, -1, 2) };
    const classes = graph.initializers.get(net.parameters.at(-1)!)!.shape[0]!;
    const labels = Array.from({ length: shape[0]! }, (_, row) => (3 * row + 1) % classes);
    const wanted = [...net.parameters, 'x'];
    const expected = await tensorflowGradients({ graph, inputs, training, labels, wanted });

    // d(mean negative log-likelihood) by the log-probabilities.
    const output = graph.outputs[0]!.name;
    const seed = new Float32Array(labels.length * classes);
    labels.forEach((label, row) => {
      seed[row * classes + label] = -1 / labels.length;
    });
    const result = await runGraph(await testGpu(), { graph, inputs, training, seeds: { [output]: seed }, wanted });
    const loss = result.outputs[output]!.reduce((sum, value, i) => sum + value * seed[i]!, 0);
    expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(1e-5);
    for (const parameter of wanted) {
      const error = gradientError(result.gradients[parameter]!, expected.gradients[parameter]!);
      expect(error, `gradient by ${parameter}`).toBeLessThan(1e-4);
    }
  });

  it('trains exactly what has a gradient here', () => {
    const net = networks[name]!();
    const trained = [...initializerRoles(net.finish())].filter(([, role]) => ['weight', 'bias', 'norm'].includes(role));
    expect(trained.map(([parameter]) => parameter).sort()).toEqual([...net.parameters].sort());
  });
});
