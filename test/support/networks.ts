import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph, Node } from '../../src/graph/types.ts';
import { randomFloats } from './numbers.ts';

/** Builds small networks layer by layer, with seeded weights (uniform, of He's variance 2/fan-in). */
export class NetworkBuilder {
  readonly graph: Graph;
  /** Initializers that training changes, in the order of their making. */
  readonly parameters: string[] = [];
  #last: string;
  #seed: number;

  constructor(name: string, inputShape: readonly number[], seed = 1) {
    this.#seed = seed;
    this.#last = 'x';
    this.graph = {
      name,
      inputs: [{ name: 'x', dtype: 'float32', shape: [...inputShape] }],
      outputs: [],
      nodes: [],
      initializers: new Map(),
    };
  }

  /** The value that the next layer reads. */
  get last(): string {
    return this.#last;
  }

  /** Goes on from an earlier value: a branch. */
  from(value: string): this {
    this.#last = value;
    return this;
  }

  parameter(shape: readonly number[], low: number, high: number, trained = true): string {
    const name = `p${this.graph.initializers.size}`;
    const elements = shape.reduce((product, length) => product * length, 1);
    this.graph.initializers.set(name, floatTensor(shape, randomFloats(this.#seed++, elements, low, high)));
    if (trained) this.parameters.push(name);
    return name;
  }

  node(op: string, inputs: string[] = [this.#last], attributes: Node['attributes'] = {}): this {
    const name = `${op}${this.graph.nodes.length}`;
    this.graph.nodes.push({ name, op, inputs, outputs: [`${name}.y`], attributes });
    this.#last = `${name}.y`;
    return this;
  }

  conv(inputs: number, outputs: number, kernel: number, attributes: Node['attributes'] = {}, bias = false): this {
    const fanIn = (inputs / Number(attributes.group ?? 1)) * kernel * kernel;
    const bound = Math.sqrt(6 / fanIn);
    const weight = this.parameter([outputs, inputs / Number(attributes.group ?? 1), kernel, kernel], -bound, bound);
    const operands = [this.#last, weight, ...(bias ? [this.parameter([outputs], -0.5, 0.5)] : [])];
    return this.node('Conv', operands, { kernel_shape: [kernel, kernel], ...attributes });
  }

  batchNorm(channels: number): this {
    const trained = [this.parameter([channels], 0.5, 1.5), this.parameter([channels], -0.5, 0.5)];
    const state = [this.parameter([channels], -0.3, 0.3, false), this.parameter([channels], 0.5, 1.5, false)];
    return this.node('BatchNormalization', [this.#last, ...trained, ...state], { epsilon: 1e-3 });
  }

  gemm(inputs: number, outputs: number): this {
    const bound = Math.sqrt(6 / inputs);
    const operands = [
      this.#last,
      this.parameter([outputs, inputs], -bound, bound),
      this.parameter([outputs], -0.5, 0.5),
    ];
    return this.node('Gemm', operands, { transB: 1 });
  }

  /** MatMul and Add, as other exporters write a dense layer. */
  dense(inputs: number, outputs: number): this {
    const bound = Math.sqrt(6 / inputs);
    this.node('MatMul', [this.#last, this.parameter([inputs, outputs], -bound, bound)]);
    return this.node('Add', [this.#last, this.parameter([outputs], -0.5, 0.5)]);
  }

  finish(): Graph {
    this.graph.outputs.push({ name: this.#last, dtype: 'float32' });
    return this.graph;
  }
}
