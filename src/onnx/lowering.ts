import type { Graph, Node, Tensor } from '../graph/types.ts';
import { type IntegerType, integerTensor } from './quantizedWeight.ts';

/** A graph that is being rewritten for ONNX. */
export interface Lowering {
  nodes: Node[];
  initializers: Map<string, Tensor>;
  /** Those that are stored in 4 bits. */
  fourBit: Set<string>;
  /** Names of the scales and zero points ('': none) of packed weights. */
  packed: Map<string, [string, string]>;
  /** A name that nothing has, made from the wanted one. */
  unique: (wanted: string) => string;
}

/** Begins with the initializers of the graph and no nodes. */
export function startLowering({ inputs, nodes, initializers }: Graph): Lowering {
  const taken = new Set([
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap(({ name, outputs }) => [name, ...outputs]),
  ]);
  return {
    nodes: [],
    initializers: new Map(initializers),
    fourBit: new Set(),
    packed: new Map(),
    unique(wanted) {
      let name = wanted;
      for (let number = 2; taken.has(name); number++) name = `${wanted}_${number}`;
      taken.add(name);
      return name;
    },
  };
}

/** Adds an initializer of integers and returns its name. */
export function addIntegers(
  lowering: Lowering,
  wanted: string,
  { type, shape, codes }: { type: IntegerType; shape: readonly number[]; codes: ArrayLike<number> },
): string {
  const name = lowering.unique(wanted);
  lowering.initializers.set(name, integerTensor(type, shape, codes));
  if (type === 'int4' || type === 'uint4') lowering.fourBit.add(name);
  return name;
}
