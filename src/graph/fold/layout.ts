import { describe, intAttribute, stringAttribute, tensorAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { padGeometry, resolvePermutation, sliceGeometry } from '../infer/layout.ts';
import { allocate, isBigInt, isFloat, numel, rowMajorStrides, toFloat32, toNumbers } from '../tensor.ts';
import type { DType, Tensor, TensorData } from '../types.ts';
import { type Fold, requireTensor } from './common.ts';
import { broadcastStrides, copyView, walk } from './walk.ts';

/** Same elements, another shape: the data is shared. */
const reshape: Fold = (node, inputs, [shape]) => [{ ...requireTensor(node, inputs, 0), shape: [...shape!] }];

/** A strided view of the first input, made dense. */
function view(tensor: Tensor, shape: readonly number[], strides: readonly number[], offset = 0): Tensor[] {
  const data = allocate(tensor.dtype, numel(shape));
  copyView(tensor.data, offset, strides, shape, data);
  return [{ dtype: tensor.dtype, shape: [...shape], data }];
}

const transpose: Fold = (node, inputs, [shape]) => {
  const tensor = requireTensor(node, inputs, 0);
  const strides = rowMajorStrides(tensor.shape);
  return view(
    tensor,
    shape!,
    resolvePermutation(node, strides.length).map((axis) => strides[axis]!),
  );
};

const slice: Fold = (node, inputs, [shape]) => {
  const tensor = requireTensor(node, inputs, 0);
  const { starts, steps } = sliceGeometry(node, tensor.shape, inputs);
  const strides = rowMajorStrides(tensor.shape);
  const offset = starts.reduce((sum, start, axis) => sum + start * strides[axis]!, 0);
  return view(
    tensor,
    shape!,
    strides.map((stride, axis) => stride * steps[axis]!),
    offset,
  );
};

const expand: Fold = (node, inputs, [shape]) => {
  const tensor = requireTensor(node, inputs, 0);
  return view(tensor, shape!, broadcastStrides(tensor.shape, shape!));
};

/** Copies `part` into a block of `whole` (row-major, of shape `shape`) that begins at `start` along `axis`. */
function place(part: Tensor, whole: TensorData, shape: readonly number[], axis: number, start: number): void {
  const strides = rowMajorStrides(shape);
  const offset = start * strides[axis]!;
  const to = whole as Float64Array;
  const from = part.data as Float64Array;
  walk(part.shape, strides, strides, (index, at) => {
    to[offset + at] = from[index]!;
  });
}

const concat: Fold = (node, inputs, [shape]) => {
  const parts = node.inputs.map((_, index) => requireTensor(node, inputs, index));
  const dtype = parts[0]!.dtype;
  const axis = intAttribute(node, 'axis');
  const at = axis < 0 ? axis + shape!.length : axis;
  const data = allocate(dtype, numel(shape!));
  let start = 0;
  for (const part of parts) {
    if (part.dtype !== dtype) throw new InputError(`${describe(node)} joins ${dtype} with ${part.dtype}`);
    place(part, data, shape!, at, start);
    start += part.shape[at]!;
  }
  return [{ dtype, shape: [...shape!], data }];
};

const split: Fold = (node, inputs, shapes) => {
  const tensor = requireTensor(node, inputs, 0);
  const axis = intAttribute(node, 'axis', 0);
  const at = axis < 0 ? axis + tensor.shape.length : axis;
  const strides = rowMajorStrides(tensor.shape);
  let start = 0;
  return shapes.flatMap((shape) => {
    const offset = start * strides[at]!;
    start += shape[at]!;
    return view(tensor, shape, strides, offset);
  });
};

const gather: Fold = (node, inputs, [shape]) => {
  const tensor = requireTensor(node, inputs, 0);
  const axis = intAttribute(node, 'axis', 0);
  const at = axis < 0 ? axis + tensor.shape.length : axis;
  const length = tensor.shape[at]!;
  const indices = toNumbers(requireTensor(node, inputs, 1)).map((index) => {
    if (!Number.isInteger(index) || index < -length || index >= length) {
      throw new InputError(`${describe(node)} gathers index ${index} of a length of ${length}`);
    }
    return index < 0 ? index + length : index;
  });
  const inner = numel(tensor.shape.slice(at + 1));
  const outer = numel(tensor.shape.slice(0, at));
  const data = allocate(tensor.dtype, numel(shape!));
  const to = data as Float64Array;
  for (let row = 0; row < outer; row++) {
    for (let index = 0; index < indices.length; index++) {
      const from = (row * length + indices[index]!) * inner;
      to.set(tensor.data.subarray(from, from + inner) as Float64Array, (row * indices.length + index) * inner);
    }
  }
  return [{ dtype: tensor.dtype, shape: [...shape!], data }];
};

/** Constant padding only; the other modes are left to the GPU. */
const pad: Fold = (node, inputs, [shape]) => {
  const tensor = requireTensor(node, inputs, 0);
  if (stringAttribute(node, 'mode', 'constant') !== 'constant') return undefined;
  const { begins } = padGeometry(node, tensor.shape, inputs);
  const data = allocate(tensor.dtype, numel(shape!));
  const value = inputs[2];
  if (value && (value.dtype !== tensor.dtype || value.data.length < 1)) {
    throw new InputError(`${describe(node)} pads ${tensor.dtype} with a value of type ${value.dtype}`);
  }
  if (value) (data as Float64Array).fill(value.data[0] as number);
  const counter = tensor.shape.map(() => 0);
  const strides = rowMajorStrides(shape!);
  for (const element of tensor.data) {
    const at = counter.map((index, axis) => index + begins[axis]!);
    if (at.every((index, axis) => index >= 0 && index < shape![axis]!)) {
      data[at.reduce((sum, index, axis) => sum + index * strides[axis]!, 0)] = element;
    }
    for (let axis = counter.length - 1; axis >= 0 && ++counter[axis]! >= tensor.shape[axis]!; axis--) counter[axis] = 0;
  }
  return [{ dtype: tensor.dtype, shape: [...shape!], data }];
};

export function castTensor(tensor: Tensor, dtype: DType): Tensor {
  // float16 is not computed in: it widens, as everywhere.
  const to = dtype === 'float16' ? 'float32' : dtype;
  if (tensor.dtype === to) return tensor;
  const { data } = tensor;
  const result = allocate(to, data.length);
  if (isBigInt(result)) {
    if (isBigInt(data)) data.forEach((value, index) => void (result[index] = value));
    else {
      const values = isFloat(tensor.dtype) ? toNumbers(tensor) : data;
      for (let index = 0; index < values.length; index++) {
        const value = Math.trunc(values[index]!);
        // NaN and infinities have no integer; ONNX leaves them undefined, zero is as good.
        result[index] = Number.isFinite(value) ? BigInt(value) : 0n;
      }
    }
  } else if (to === 'bool') {
    const values = tensor.dtype === 'float16' ? toNumbers(tensor) : data;
    for (let index = 0; index < values.length; index++) result[index] = Number(values[index]) !== 0 ? 1 : 0;
  } else if (to === 'float32') {
    (result as Float32Array).set(toFloat32(tensor));
  } else if (isBigInt(data)) {
    for (let index = 0; index < data.length; index++) result[index] = Number(data[index]);
  } else {
    // Typed-array stores wrap integers and truncate fractions, as C does.
    const values = tensor.dtype === 'float16' ? toNumbers(tensor) : data;
    for (let index = 0; index < values.length; index++) result[index] = values[index]!;
  }
  return { dtype: to, shape: tensor.shape, data: result };
}

const cast: Fold = (node, inputs) => [
  castTensor(requireTensor(node, inputs, 0), stringAttribute(node, 'to', 'float32') as DType),
];

const castLike: Fold = (node, inputs) => [
  castTensor(requireTensor(node, inputs, 0), requireTensor(node, inputs, 1).dtype),
];

const where: Fold = (node, inputs, [shape]) => {
  const condition = requireTensor(node, inputs, 0);
  const [yes, no] = [requireTensor(node, inputs, 1), requireTensor(node, inputs, 2)];
  if (yes.dtype !== no.dtype) throw new InputError(`${describe(node)} chooses between ${yes.dtype} and ${no.dtype}`);
  const data = allocate(yes.dtype, numel(shape!));
  copyView(no.data, 0, broadcastStrides(no.shape, shape!), shape!, data);
  const [to, from] = [data as Float64Array, yes.data as Float64Array];
  walk(shape!, broadcastStrides(condition.shape, shape!), broadcastStrides(yes.shape, shape!), (index, c, y) => {
    if (condition.data[c]) to[index] = from[y]!;
  });
  return [{ dtype: yes.dtype, shape: [...shape!], data }];
};

const constantOfShape: Fold = (node, _inputs, [shape]) => {
  const value = tensorAttribute(node, 'value');
  if (value && value.data.length !== 1) throw new InputError(`${describe(node)} has a value that is no single element`);
  const dtype = value?.dtype ?? 'float32';
  const data = allocate(dtype, numel(shape!));
  if (value) (data as Float64Array).fill(value.data[0] as number);
  return [{ dtype, shape: [...shape!], data }];
};

const range: Fold = (node, inputs, [shape]) => {
  const start = requireTensor(node, inputs, 0);
  const delta = requireTensor(node, inputs, 2);
  if (start.dtype !== delta.dtype) throw new InputError(`${describe(node)} mixes ${start.dtype} and ${delta.dtype}`);
  const data = allocate(start.dtype, shape![0]!);
  for (let index = 0; index < data.length; index++) {
    if (isBigInt(data)) data[index] = (start.data[0] as bigint) + BigInt(index) * (delta.data[0] as bigint);
    else data[index] = (start.data[0] as number) + index * (delta.data[0] as number);
  }
  return [{ dtype: start.dtype, shape: [...shape!], data }];
};

export const layoutFolds: Readonly<Record<string, Fold>> = {
  Identity: reshape,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Slice: slice,
  Expand: expand,
  Concat: concat,
  Split: split,
  Gather: gather,
  Pad: pad,
  Cast: cast,
  CastLike: castLike,
  Where: where,
  ConstantOfShape: constantOfShape,
  Range: range,
};
