import { InputError } from '../graph/errors.ts';
import type { Attribute, Dim, Graph, Node, Tensor, ValueInfo } from '../graph/types.ts';
import { attributesJson, readAttributes } from './attributes.ts';
import { isDType } from './bytes.ts';
import type { EncodedTensor } from './encodedTensor.ts';
import { expectArray, expectInteger, expectObject, expectString, parseJson, show } from './expect.ts';
import { MAX_RANK } from './shape.ts';
import { makeStringIndex, readStringTable, type StringTable } from './stringTable.ts';
import { encodingName, type ParsedRecord, parseRecord, type TensorRecord, tensorRecord } from './tensorRecord.ts';

/**
 * The graph as JSON, short because a small network's file must not be mostly JSON: names once in a string table `s`,
 * attribute lists once in `a`, tensors in `t`, nodes in `n` as [operator, name, inputs, outputs, attribute list].
 */

type ValueJson = [name: string, dtype: string, shape?: Dim[]];
type NodeJson = [op: number, name: number, inputs: number[], outputs: number[], attributes?: number];

/**
 * Writes the graph. `tensors` are the encoded initializers in the graph's order; `addTensor` encodes a tensor that is
 * an attribute and returns it, to be stored after them.
 */
export function graphJson(
  graph: Graph,
  initializers: readonly EncodedTensor[],
  encodeAttribute: (tensor: Tensor) => EncodedTensor,
): { json: string; tensors: EncodedTensor[] } {
  const attributeTensors = new Map<Attribute, EncodedTensor>();
  for (const value of graph.nodes.flatMap((node) => Object.values(node.attributes))) {
    if (isTensor(value) && !attributeTensors.has(value)) attributeTensors.set(value, encodeAttribute(value));
  }
  const tensors = [...initializers, ...attributeTensors.values()];
  const strings = makeStringIndex([
    ...graph.nodes.flatMap(({ op, name, inputs, outputs, attributes }) =>
      [op, name].concat(inputs, outputs, Object.keys(attributes)),
    ),
    ...tensors.flatMap((tensor) => [
      encodingName(tensor),
      ...(tensor.name === '' ? [] : [tensor.name]),
      ...(tensor.kind === 'raw' || tensor.kind === 'inline' ? [tensor.dtype] : []),
    ]),
  ]);
  const indexOfTensor = (tensor: Tensor) => tensors.indexOf(attributeTensors.get(tensor)!);
  const lists = new Map<string, number>();
  const nodes = graph.nodes.map((node): NodeJson => {
    const json: NodeJson = [
      strings.indexOf(node.op),
      strings.indexOf(node.name),
      node.inputs.map(strings.indexOf),
      node.outputs.map(strings.indexOf),
    ];
    const list = JSON.stringify(attributesJson(node.attributes, strings, indexOfTensor));
    if (list === '[]') return json;
    if (!lists.has(list)) lists.set(list, lists.size);
    json.push(lists.get(list)!);
    return json;
  });
  const value = ({ name, dtype, shape }: ValueInfo): ValueJson => (shape ? [name, dtype, shape] : [name, dtype]);
  const records: TensorRecord[] = tensors.map((tensor) => tensorRecord(tensor, strings));
  const parts = {
    name: graph.name,
    s: strings.json,
    i: graph.inputs.map(value),
    o: graph.outputs.map(value),
    a: [...lists.keys()].map((list) => JSON.parse(list)),
    n: nodes,
    t: records,
  };
  return { json: JSON.stringify(parts), tensors };
}

function isTensor(value: Attribute): value is Tensor {
  return typeof value === 'object' && !Array.isArray(value);
}

/** The graph's JSON with its tensors' records checked, before any payload is read. */
export interface ParsedGraph {
  records: ParsedRecord[];
  strings: StringTable;
  parts: Record<string, unknown>;
}

export function parseGraph(text: string, where: string): ParsedGraph {
  const parts = expectObject(parseJson(text, where), where);
  const strings = readStringTable(parts.s, `${where}: strings (s)`);
  const names = new Set<string>();
  const records = expectArray(parts.t, `${where}: tensors (t)`).map((json, i) => {
    const record = parseRecord(json, strings, `${where}: tensor ${i}`);
    if (record.name !== '' && names.has(record.name)) {
      throw new InputError(`${where}: initializer ${show(record.name)} occurs twice.`);
    }
    names.add(record.name);
    return record;
  });
  return { records, strings, parts };
}

/** Builds the graph; `tensors` are the decoded ones, in the order of the records. */
export function buildGraph({ parts, records, strings }: ParsedGraph, tensors: readonly Tensor[], where: string): Graph {
  const lists = expectArray(parts.a, `${where}: attributes (a)`).map((json, i) =>
    readAttributes(json, strings, tensors, `${where}: attribute list ${i}`),
  );
  const nodes = expectArray(parts.n, `${where}: nodes (n)`).map((json, i) =>
    readNode(json, strings, lists, `${where}: node ${i}`),
  );
  const initializers = new Map<string, Tensor>();
  records.forEach(({ name }, i) => {
    if (name !== '') initializers.set(name, tensors[i]!);
  });
  return {
    name: expectString(parts.name, `${where}: the name`),
    inputs: readValues(parts.i, `${where}: input`),
    outputs: readValues(parts.o, `${where}: output`),
    nodes,
    initializers,
  };
}

function readNode(
  json: unknown,
  strings: StringTable,
  lists: readonly Record<string, Attribute>[],
  where: string,
): Node {
  const [op, name, inputs, outputs, list] = expectArray(json, where);
  const names = (value: unknown, what: string) =>
    expectArray(value, `${where}: ${what}`).map((index) => strings.at(index, `${where}: ${what}`));
  return {
    name: strings.at(name, `${where}: the name`),
    op: strings.at(op, `${where}: the operator`),
    inputs: names(inputs, 'inputs'),
    outputs: names(outputs, 'outputs'),
    attributes:
      list === undefined
        ? {}
        : { ...lists[expectInteger(list, 0, lists.length - 1, `${where}: the index of its attributes`)] },
  };
}

function readValues(json: unknown, where: string): ValueInfo[] {
  return expectArray(json, `${where}s`).map((item, i) => {
    const here = `${where} ${i}`;
    const [name, dtype, dims] = expectArray(item, here);
    const type = expectString(dtype, `${here}: the element type`);
    if (!isDType(type)) throw new InputError(`${here} has the unknown element type ${show(type)}.`);
    const value: ValueInfo = { name: expectString(name, `${here}: the name`), dtype: type };
    if (dims === undefined) return value;
    const shape = expectArray(dims, `${here}: the shape`);
    expectInteger(shape.length, 0, MAX_RANK, `${here}: the number of dimensions`);
    for (const dim of shape) if (typeof dim !== 'string') expectInteger(dim, 0, 2 ** 31 - 1, `${here}: a dimension`);
    return { ...value, shape: shape as Dim[] };
  });
}
