import { elementsOf } from '../../src/engine/value.ts';
import { foldBatchNorm } from '../../src/graph/passes/foldBatchNorm.ts';
import type { Graph, Node } from '../../src/graph/types.ts';
import type { Contender } from '../contender.ts';
import { toChannelsLast } from '../data.ts';
import { TFJS, type Tf, type TfTensor } from '../peers/tfjs.ts';
import { forwardOperators, makeVariables } from '../train/tfjs.ts';
import { type Operators, walkGraph } from '../train/walk.ts';

/** A network of convolutions with TensorFlow.js, normalisation folded, channels last as it prefers them. */
export function inferTfjs(
  tf: Tf,
  source: Graph,
  batch: number,
  sample: readonly number[],
  data: Float32Array,
): Contender {
  const graph = foldBatchNorm(source);
  const variables = makeVariables(tf, graph, batch);
  const operators = { ...forwardOperators(tf, variables), ...cuts(tf, graph) };
  const [c, h, w] = sample as [number, number, number];
  if (data.length !== elementsOf([batch, c, h, w])) throw new RangeError(`${data.length} numbers for ${batch} images`);
  // The input is brought into its layout beforehand, and uploaded in every run as by the others.
  const images = toChannelsLast(data, [batch, c, h, w]);
  return {
    name: TFJS,
    async run() {
      const x = tf.tensor(images, [batch, h, w, c]);
      const y = tf.tidy(() => walkGraph(graph, x, operators));
      const result = await y.data();
      x.dispose();
      y.dispose();
      return result as Float32Array;
    },
    dispose() {
      for (const variable of variables.values()) variable.dispose();
    },
  };
}

/** Where an axis of [n, c, h, w] is in [n, h, w, c]. */
const LAST = [0, 3, 1, 2];

/** Slice and Pad of images. */
function cuts(tf: Tf, graph: Graph): Operators<TfTensor> {
  const numbers = (node: Node, index: number) => {
    const tensor = graph.initializers.get(node.inputs[index] ?? '');
    return tensor && Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  };
  return {
    Slice(node, x) {
      const [starts, ends, axes, steps] = [1, 2, 3, 4].map((index) => numbers(node, index));
      const begin = x.shape.map(() => 0);
      const end = [...x.shape];
      const strides = x.shape.map(() => 1);
      starts!.forEach((start, i) => {
        const axis = LAST[axes?.[i] ?? i]!;
        const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + x.shape[axis]! : at, 0), x.shape[axis]!);
        begin[axis] = clamp(start);
        end[axis] = clamp(ends![i]!);
        strides[axis] = steps?.[i] ?? 1;
      });
      return tf.stridedSlice(x, begin, end, strides);
    },
    Pad(node, x) {
      const pads = numbers(node, 1)!;
      const paddings = x.shape.map((): [number, number] => [0, 0]);
      LAST.forEach((axis, i) => {
        paddings[axis] = [pads[i]!, pads[LAST.length + i]!];
      });
      return tf.pad(x, paddings);
    },
  };
}
