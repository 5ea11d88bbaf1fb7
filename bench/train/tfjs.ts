import { prepareGraph } from '../../src/engine/prepare.ts';
import { numberAttribute } from '../../src/graph/attributes.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import type { Contender } from '../contender.ts';
import { permute, toChannelsLast, toTensorFlowKernel } from '../data.ts';
import { TFJS, type Tf, type TfTensor, type TfVariable } from '../peers/tfjs.ts';
import { asFloats, CHECKED_STEPS, LEARNING_RATE, MOMENTUM, makeBatch } from './batch.ts';
import { CLASSES, type TrainingProblem } from './networks.ts';
import { type Operators, square, walkGraph } from './walk.ts';

type FourAxes = [number, number, number, number];

/** The operations that tf.layers runs in training, channels last as TensorFlow.js prefers them. */
export function trainTfjs(tf: Tf, problem: TrainingProblem): Contender {
  const { graph, batch, sample, steps } = problem;
  const variables = makeVariables(tf, graph, batch);
  const trained = [...variables].filter(([name]) => !/\.(mean|variance)$/.test(name)).map(([, variable]) => variable);
  const operators = trainingOperators(tf, variables);
  const { x, oneHot } = asFloats(makeBatch(problem));
  const [c, h, w] = sample;
  const images = tf.tensor(toChannelsLast(x, [batch, c, h, w]), [batch, h, w, c]);
  const labels = tf.tensor(oneHot, [batch, CLASSES]);
  const optimizer = tf.train.momentum(LEARNING_RATE, MOMENTUM);
  const loss = () => tf.losses.softmaxCrossEntropy(labels, walkGraph(graph, images, operators));
  const step = (returnLoss: boolean) => optimizer.minimize(loss, returnLoss, trained);
  const stepAndRead = async () => {
    const result = step(true) as TfTensor;
    const [value] = await result.data();
    result.dispose();
    return value;
  };
  return {
    name: TFJS,
    steps,
    async check() {
      const losses = new Float32Array(CHECKED_STEPS);
      for (let i = 0; i < losses.length; i++) losses[i] = await stepAndRead();
      return losses;
    },
    async run() {
      for (let i = 1; i < steps; i++) step(false);
      return Float32Array.of(await stepAndRead());
    },
    dispose() {
      optimizer.dispose();
      for (const tensor of [images, labels, ...variables.values()]) tensor.dispose();
    },
  };
}

/** The graph's weights in TensorFlow's layouts. */
export function makeVariables(tf: Tf, graph: Graph, batch: number): Map<string, TfVariable> {
  const { shapes } = prepareGraph(graph, { batch });
  const variables = new Map<string, TfVariable>();
  const put = (name: string, data: Float32Array, shape: readonly number[]) =>
    variables.set(name, tf.variable(tf.tensor(data, shape), !/\.(mean|variance)$/.test(name)));
  const flattened = new Map<string, FourAxes>();
  for (const node of graph.nodes) {
    if (node.op === 'Flatten') flattened.set(node.outputs[0], shapes.get(node.inputs[0]) as FourAxes);
    for (const name of node.inputs) {
      const tensor = graph.initializers.get(name);
      if (tensor?.dtype !== 'float32') continue;
      const data = tensor.data as Float32Array;
      const planes = flattened.get(node.inputs[0]);
      if (node.op === 'Conv' && tensor.shape.length === 4) {
        const [oc, ic, kh, kw] = tensor.shape;
        put(name, toTensorFlowKernel(data, [oc, ic, kh, kw]), [kh, kw, ic, oc]);
      } else if (node.op === 'Gemm' && tensor.shape.length === 2 && planes) {
        put(name, columnsLast(tensor, planes), tensor.shape);
      } else put(name, data, tensor.shape);
    }
  }
  return variables;
}

/** Columns of a dense layer behind flattened planes [n, c, h, w], for planes that were [n, h, w, c]. */
function columnsLast({ data, shape: [rows] }: Tensor, [, c, h, w]: FourAxes): Float32Array {
  return permute(data as Float32Array, [rows, c, h * w], [0, 2, 1]);
}

function trainingOperators(tf: Tf, variables: ReadonlyMap<string, TfVariable>): Operators<TfTensor> {
  const weight = (name: string) => variables.get(name) as TfVariable;
  return {
    ...forwardOperators(tf, variables),
    BatchNormalization(node, x) {
      const [, scale, shift, runningMean, runningVariance] = node.inputs;
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      const momentum = numberAttribute(node, 'momentum', 0.9);
      for (const [name, value] of [
        [runningMean, mean],
        [runningVariance, variance],
      ] as const) {
        const running = weight(name);
        running.assign(tf.add(tf.mul(running, momentum), tf.mul(value, 1 - momentum)));
      }
      return tf.batchNorm(x, mean, variance, weight(shift), weight(scale), numberAttribute(node, 'epsilon', 1e-5));
    },
  };
}

/** Operations that are the same in training and after it. */
export function forwardOperators(tf: Tf, variables: ReadonlyMap<string, TfVariable>): Operators<TfTensor> {
  const weight = (name: string) => variables.get(name) as TfVariable;
  return {
    Conv(node, x) {
      const y = tf.conv2d(x, weight(node.inputs[1]), square(node, 'strides', 1), square(node, 'pads', 0));
      return node.inputs[2] ? tf.add(y, weight(node.inputs[2])) : y;
    },
    Gemm: (node, x) => tf.add(tf.matMul(x, weight(node.inputs[1]), false, true), weight(node.inputs[2])),
    Relu: (_, x) => tf.relu(x),
    Add: (_, a, b) => tf.add(a, b),
    MaxPool: (node, x) => tf.maxPool(x, square(node, 'kernel_shape', 1), square(node, 'strides', 1), 'valid'),
    GlobalAveragePool: (_, x) => tf.mean(x, [1, 2]),
    Flatten: (_, x) => tf.reshape(x, [x.shape[0], x.shape.slice(1).reduce((product, length) => product * length, 1)]),
  };
}
