/**
 * Runs a graph in TensorFlow.js on the CPU and lets it differentiate: a second, independent source of gradients. Values
 * stay NCHW as in ONNX; what TensorFlow.js only has as NHWC is transposed around.
 */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import * as tf from '@tensorflow/tfjs-core';
import { toNumbers } from '../../src/graph/tensor.ts';
import type { Graph, Node } from '../../src/graph/types.ts';

const toNhwc = (x: tf.Tensor) => tf.transpose(x, [0, 2, 3, 1]) as tf.Tensor4D;
const toNchw = (x: tf.Tensor) => tf.transpose(x, [0, 3, 1, 2]);

function ints(node: Node, name: string, fallback: number[]): number[] {
  return (node.attributes[name] as number[] | undefined) ?? fallback;
}

/** Zeros (or another value) around height and width, so that every window is `valid`. */
function padded(node: Node, x: tf.Tensor4D, value = 0): tf.Tensor4D {
  const [top, left, bottom, right] = ints(node, 'pads', [0, 0, 0, 0]) as [number, number, number, number];
  return tf.pad4d(
    x,
    [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ],
    value,
  );
}

/** Zeros between the taps of a filter [kh, kw, …]: TensorFlow.js has no gradient of a dilated convolution. */
function dilated(filter: tf.Tensor4D, dilations: readonly number[]): tf.Tensor4D {
  const [kh, kw, inputs, outputs] = filter.shape;
  const [dh, dw] = dilations as [number, number];
  const spread = tf.pad(tf.reshape(filter, [kh, 1, kw, 1, inputs * outputs]), [
    [0, 0],
    [0, dh - 1],
    [0, 0],
    [0, dw - 1],
    [0, 0],
  ]);
  const whole = tf.reshape(spread, [kh * dh, kw * dw, inputs, outputs]) as tf.Tensor4D;
  return tf.slice4d(whole, [0, 0, 0, 0], [(kh - 1) * dh + 1, (kw - 1) * dw + 1, -1, -1]);
}

function conv(node: Node, x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | undefined): tf.Tensor {
  const strides = ints(node, 'strides', [1, 1]) as [number, number];
  const dilations = ints(node, 'dilations', [1, 1]) as [number, number];
  const group = Number(node.attributes.group ?? 1);
  const input = padded(node, toNhwc(x));
  const [channels, outputs] = [x.shape[1]!, weight.shape[0]!];
  // [out, in/group, kh, kw] to [kh, kw, in/group, out]
  const filter = dilated(tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D, dilations);
  let y: tf.Tensor;
  if (group === channels && outputs === channels) {
    const depthwise = dilated(tf.transpose(weight, [2, 3, 0, 1]) as tf.Tensor4D, dilations);
    y = tf.depthwiseConv2d(input, depthwise, strides, 'valid');
  } else {
    // Slices rather than tf.split, whose gradient TensorFlow.js 4.22 cannot take.
    const part = (tensor: tf.Tensor4D, g: number) => {
      const size = tensor.shape[3] / group;
      return tf.slice4d(tensor, [0, 0, 0, g * size], [-1, -1, -1, size]);
    };
    y = tf.concat(
      Array.from({ length: group }, (_, g) => tf.conv2d(part(input, g), part(filter, g), strides, 'valid')),
      3,
    );
  }
  return toNchw(bias ? tf.add(y, bias) : y);
}

function batchNorm(node: Node, x: tf.Tensor, parameters: tf.Tensor[], training: boolean): tf.Tensor {
  const [scale, shift, runningMean, runningVariance] = parameters as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const perChannel = (v: tf.Tensor) => tf.reshape(v, [1, -1, 1, 1]);
  const { mean, variance } = training
    ? tf.moments(x, [0, 2, 3], true)
    : { mean: perChannel(runningMean), variance: perChannel(runningVariance) };
  const deviation = tf.sqrt(tf.add(variance, Number(node.attributes.epsilon ?? 1e-5)));
  return tf.add(tf.mul(tf.div(tf.sub(x, mean), deviation), perChannel(scale)), perChannel(shift));
}

function pool(node: Node, x: tf.Tensor): tf.Tensor {
  const kernel = ints(node, 'kernel_shape', []) as [number, number];
  const strides = ints(node, 'strides', [1, 1]) as [number, number];
  const input = toNhwc(x);
  if (node.op === 'MaxPool') return toNchw(tf.maxPool(padded(node, input, -1e30), kernel, strides, 'valid'));
  if (node.attributes.pads) throw new Error('TensorFlow.js cannot average over windows with explicit pads');
  return toNchw(tf.avgPool(input, kernel, strides, 'valid'));
}

function compute(node: Node, inputs: (tf.Tensor | undefined)[], training: boolean): tf.Tensor {
  const [a, b, c] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor];
  const flag = (name: string) => Number(node.attributes[name] ?? 0) !== 0;
  switch (node.op) {
    case 'Conv':
      return conv(node, a, b, c);
    case 'BatchNormalization':
      return batchNorm(node, a, inputs.slice(1) as tf.Tensor[], training);
    case 'MaxPool':
    case 'AveragePool':
      return pool(node, a);
    case 'GlobalAveragePool':
      return tf.mean(a, [2, 3], true);
    case 'Flatten':
      return tf.reshape(a, [a.shape[0]!, -1]);
    case 'Gemm': {
      const y = tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, flag('transA'), flag('transB'));
      return c ? tf.add(y, c) : y;
    }
    case 'MatMul':
      return tf.matMul(a, b);
    case 'Add':
      return tf.add(a, b);
    case 'Sub':
      return tf.sub(a, b);
    case 'Mul':
      return tf.mul(a, b);
    case 'Div':
      return tf.div(a, b);
    case 'Relu':
      return tf.relu(a);
    case 'LeakyRelu':
      return tf.leakyRelu(a, Number(node.attributes.alpha ?? 0.01));
    case 'Sigmoid':
      return tf.sigmoid(a);
    case 'Tanh':
      return tf.tanh(a);
    case 'Concat':
      return tf.concat(inputs as tf.Tensor[], Number(node.attributes.axis));
    case 'LogSoftmax':
      return tf.logSoftmax(a, Number(node.attributes.axis ?? -1));
    case 'Softmax':
      return tf.softmax(a, Number(node.attributes.axis ?? -1));
    default:
      throw new Error(`The TensorFlow.js oracle does not know ${node.op}`);
  }
}

export interface TensorflowRun {
  graph: Graph;
  inputs: Readonly<Record<string, Float32Array>>;
  training: boolean;
  /** Class of every row of the graph's output, which holds log-probabilities [n, classes]. */
  labels: readonly number[];
  /** Initializers and inputs whose gradients are wanted. */
  wanted: readonly string[];
}

/** Mean negative log-likelihood of the labels, and its gradients. */
export async function tensorflowGradients(
  run: TensorflowRun,
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const { graph, labels, training, wanted } = run;
  tf.env().set('IS_TEST', true); // no banner
  await tf.setBackend('cpu');
  await tf.ready();
  const known = new Map<string, tf.Tensor>();
  for (const [name, tensor] of graph.initializers) known.set(name, tf.tensor(toNumbers(tensor), [...tensor.shape]));
  for (const { name, shape } of graph.inputs) known.set(name, tf.tensor(run.inputs[name]!, shape as number[]));
  const loss = (...parameters: tf.Tensor[]): tf.Scalar => {
    const values = new Map(known);
    wanted.forEach((name, index) => {
      values.set(name, parameters[index]!);
    });
    for (const node of graph.nodes) {
      values.set(
        node.outputs[0]!,
        compute(
          node,
          node.inputs.map((name) => values.get(name)),
          training,
        ),
      );
    }
    const logits = values.get(graph.outputs[0]!.name)!;
    const chosen = tf.mul(logits, tf.oneHot([...labels], logits.shape[1]!));
    return tf.neg(tf.div(tf.sum(chosen), labels.length)) as tf.Scalar;
  };
  const { value, grads } = tf.valueAndGrads(loss)(wanted.map((name) => known.get(name)!));
  const gradients = Object.fromEntries(wanted.map((name, index) => [name, grads[index]!.dataSync() as Float32Array]));
  const result = { loss: value.dataSync()[0]!, gradients };
  tf.dispose([value, ...grads, ...known.values()]);
  return result;
}
