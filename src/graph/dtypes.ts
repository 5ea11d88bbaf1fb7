import { stringAttribute, tensorAttribute } from './attributes.ts';
import type { DType, Graph, Node } from './types.ts';

const boolean = new Set('Equal,Less,LessOrEqual,Greater,GreaterOrEqual,And,Or,Xor,Not'.split(','));

/** Element type of every value; that of a node's outputs follows from its inputs, for most operators the first. */
export function inferDTypes(graph: Graph): Map<string, DType> {
  const dtypes = new Map<string, DType>();
  for (const { name, dtype } of graph.inputs) dtypes.set(name, dtype);
  for (const [name, { dtype }] of graph.initializers) dtypes.set(name, dtype);
  for (const node of graph.nodes) {
    const of = (index: number): DType => dtypes.get(node.inputs[index] ?? '') ?? 'float32';
    node.outputs.forEach((name, index) => {
      if (name !== '') dtypes.set(name, outputType(node, index, of));
    });
  }
  return dtypes;
}

function outputType(node: Node, index: number, inputType: (index: number) => DType): DType {
  if (boolean.has(node.op)) return 'bool';
  switch (node.op) {
    case 'Shape':
    case 'Size':
      return 'int64';
    case 'Cast': {
      const to = stringAttribute(node, 'to', 'float32') as DType;
      return to === 'float16' ? 'float32' : to;
    }
    case 'CastLike':
      return inputType(1);
    case 'Where':
      return inputType(1);
    case 'ConstantOfShape':
      return tensorAttribute(node, 'value')?.dtype ?? 'float32';
    case 'MaxPool':
      return index === 1 ? 'int64' : inputType(0);
    case 'Dropout':
      return index === 1 ? 'bool' : inputType(0);
    default:
      return inputType(0);
  }
}
