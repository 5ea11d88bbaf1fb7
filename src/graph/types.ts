/**
 * A model as data: named values, nodes that compute them, and the tensors that are known beforehand.
 * Nothing in this folder touches a GPU; a compression method is a function from one Graph to another.
 */

/** Element types a host tensor may have (the ONNX names, lower case). */
export type DType =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool';

/**
 * A tensor in host memory, row-major. `float16` holds its raw bits in a Uint16Array and `bool` one byte per element;
 * the 64-bit integers hold bigints. `data.length` equals the product of `shape` (1 for a scalar, shape []).
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A dimension: a length, or the name of a length that is only known when the graph runs (the batch). */
export type Dim = number | string;

export interface ValueInfo {
  name: string;
  dtype: DType;
  /** Undefined where the model does not say. */
  shape?: Dim[];
}

export type Attribute = number | string | readonly number[] | readonly string[] | Tensor;

export interface Node {
  /** Unique within the graph; made from the operator and a number where the model has none. */
  name: string;
  /** Operator, by its ONNX name (`Conv`) or, for our own, with a prefix (`wgslim.FakeQuantize`). */
  op: string;
  /** Names of values; '' stands for an optional input that is absent. */
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
}

/**
 * Nodes are in topological order (every pass keeps it so; `validateGraph` checks it). Initializers are never listed in
 * `inputs`. Attributes that newer opsets moved to inputs (axes of Squeeze, pads of Pad, …) are normalised by the ONNX
 * importer to the newest form: inputs that are initializers.
 */
export interface Graph {
  name: string;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  nodes: Node[];
  initializers: Map<string, Tensor>;
}
