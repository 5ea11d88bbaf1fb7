import { numberAttribute } from '../../src/graph/attributes.ts';
import type { Contender } from '../contender.ts';
import { JAX, type Jax, type JaxArray, jaxBatchNorm, jaxMaxPool2x2 } from '../peers/jax.ts';
import { asFloats, CHECKED_STEPS, LEARNING_RATE, MOMENTUM, makeBatch } from './batch.ts';
import { CLASSES, type TrainingProblem } from './networks.ts';
import { type Operators, square, walkGraph } from './walk.ts';

type Arrays = Record<string, JaxArray>;

/** The whole step, update included, as one compiled function. */
export function trainJax(jax: Jax, problem: TrainingProblem): Contender {
  const { graph, batch, sample, steps } = problem;
  const { numpy: np } = jax;
  const batchData = asFloats(makeBatch(problem));
  const x = np.array(batchData.x, { shape: [batch, ...sample] });
  const oneHot = np.array(batchData.oneHot, { shape: [batch, CLASSES] });
  let weights: Arrays = {};
  let velocity: Arrays = {};
  let running: Arrays = {};
  for (const [name, { data, shape }] of graph.initializers) {
    const array = np.array((data as Float32Array).slice(), { shape });
    if (/\.(mean|variance)$/.test(name)) running[name] = array;
    else {
      weights[name] = array;
      velocity[name] = np.array(new Float32Array(data.length), { shape });
    }
  }

  const lossOf = (params: Arrays, state: Arrays, images: JaxArray, labels: JaxArray): [JaxArray, Arrays] => {
    const next: Arrays = { ...state };
    const logits = walkGraph(graph, images, trainingOperators(jax, params, next), (value) => value.ref);
    const loss = jax.nn
      .logSoftmax(logits, -1)
      .mul(labels)
      .sum()
      .mul(-1 / batch);
    return [loss, next];
  };
  const step = jax.jit((params: Arrays, speed: Arrays, state: Arrays, images: JaxArray, labels: JaxArray) => {
    const kept = mapArrays(params, (array) => array.ref);
    const [[loss, nextState], gradients] = jax.valueAndGrad(lossOf, { hasAux: true })(params, state, images, labels);
    const nextSpeed = mapArrays(speed, (array, name) => array.mul(MOMENTUM).add(gradients[name]));
    const nextParams = mapArrays(kept, (array, name) => array.sub(nextSpeed[name].ref.mul(LEARNING_RATE)));
    return [loss, nextParams, nextSpeed, nextState];
  });
  const advance = (): JaxArray => {
    const [loss, ...rest] = step(weights, velocity, running, x.ref, oneHot.ref) as [JaxArray, Arrays, Arrays, Arrays];
    [weights, velocity, running] = rest;
    return loss;
  };
  return {
    name: JAX,
    steps,
    async check() {
      const losses = new Float32Array(CHECKED_STEPS);
      for (let i = 0; i < losses.length; i++) [losses[i]] = await advance().data();
      return losses;
    },
    async run() {
      for (let i = 1; i < steps; i++) advance().dispose();
      return advance().data();
    },
    dispose() {
      step.dispose();
      for (const array of [x, oneHot, ...[weights, velocity, running].flatMap((arrays) => Object.values(arrays))]) {
        array.dispose();
      }
    },
  };
}

const mapArrays = (arrays: Arrays, work: (array: JaxArray, name: string) => JaxArray): Arrays =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, work(array, name)]));

/** Operators over weights, each of which the graph reads once. Running statistics take their step in `running`. */
function trainingOperators(jax: Jax, weights: Arrays, running: Arrays): Operators<JaxArray> {
  return {
    Conv(node, x) {
      const pad = square(node, 'pads', 0);
      const stride = square(node, 'strides', 1);
      const padding: [number, number][] = [
        [pad, pad],
        [pad, pad],
      ];
      const y = jax.lax.convGeneralDilated(x, weights[node.inputs[1]], [stride, stride], padding);
      if (!node.inputs[2]) return y;
      return y.add(weights[node.inputs[2]].reshape([1, y.shape[1], 1, 1]));
    },
    Gemm: (node, x) => jax.numpy.matmul(x, weights[node.inputs[1]].transpose()).add(weights[node.inputs[2]]),
    Relu: (_, x) => jax.nn.relu(x),
    Add: (_, a, b) => a.add(b),
    MaxPool: (_, x) => jaxMaxPool2x2(x),
    GlobalAveragePool: (_, x) => x.mean([2, 3]),
    Flatten: (_, x) => x.reshape([x.shape[0], x.shape.slice(1).reduce((product, length) => product * length, 1)]),
    BatchNormalization(node, x) {
      const [, scale, shift, meanName, varianceName] = node.inputs;
      const epsilon = numberAttribute(node, 'epsilon', 1e-5);
      const { y, mean, variance } = jaxBatchNorm(jax, { x, scale: weights[scale], shift: weights[shift], epsilon });
      const momentum = numberAttribute(node, 'momentum', 0.9);
      running[meanName] = running[meanName].mul(momentum).add(mean.mul(1 - momentum));
      running[varianceName] = running[varianceName].mul(momentum).add(variance.mul(1 - momentum));
      return y;
    },
  };
}
