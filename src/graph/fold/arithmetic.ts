import { describe, intAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { reductionAxes } from '../infer/reduce.ts';
import { allocate, isBigInt, rowMajorStrides, widenToFloat32 } from '../tensor.ts';
import type { DType, Node, Tensor, TensorData } from '../types.ts';
import type { Fold } from './common.ts';
import { requireTensor } from './common.ts';
import { broadcastStrides, walk } from './walk.ts';

type Arithmetic<T> = (a: T, b: T) => T;

// Math.max and Math.min do not take bigints.
const larger: Arithmetic<bigint> = (a, b) => (a > b ? a : b);
const smaller: Arithmetic<bigint> = (a, b) => (a < b ? a : b);

function sameType(node: Node, a: Tensor, b: Tensor): DType {
  if (a.dtype === b.dtype) return a.dtype;
  throw new InputError(`${describe(node)} combines ${a.dtype} with ${b.dtype}; both need the same type`);
}

function binary(float: Arithmetic<number>, big: Arithmetic<bigint>, integer: Arithmetic<number> = float): Fold {
  return (node, inputs, [shape]) => {
    const tensors = node.inputs.map((_, index) => widenToFloat32(requireTensor(node, inputs, index)));
    let result = tensors[0]!;
    for (const next of tensors.slice(1)) result = combine(node, result, next, shape!, float, big, integer);
    return [result];
  };
}

function combine(
  node: Node,
  a: Tensor,
  b: Tensor,
  shape: readonly number[],
  float: Arithmetic<number>,
  big: Arithmetic<bigint>,
  integer: Arithmetic<number>,
): Tensor {
  const dtype = sameType(node, a, b);
  const data = allocate(
    dtype,
    shape.reduce((product, dim) => product * dim, 1),
  );
  const stridesA = broadcastStrides(a.shape, shape);
  const stridesB = broadcastStrides(b.shape, shape);
  if (isBigInt(data)) {
    const [x, y] = [a.data as BigInt64Array, b.data as BigInt64Array];
    walk(shape, stridesA, stridesB, (index, i, j) => {
      data[index] = big(x[i]!, y[j]!);
    });
  } else {
    const [x, y] = [a.data as Float32Array, b.data as Float32Array];
    const apply = dtype === 'float32' ? float : integer;
    walk(shape, stridesA, stridesB, (index, i, j) => {
      data[index] = apply(x[i]!, y[j]!);
    });
  }
  return { dtype, shape: [...shape], data };
}

/** Integer division truncates; by zero it has no result (and would throw a RangeError for bigints). */
const divide = binary(
  (a, b) => a / b,
  (a, b) => a / b,
  (a, b) => Math.trunc(a / b),
);
const foldDivide: Fold = (node, inputs, shapes) => {
  const divisor = requireTensor(node, inputs, 1);
  if (divisor.dtype !== 'float32' && (divisor.data as Float32Array).some((value) => Number(value) === 0)) {
    throw new InputError(`${describe(node)} divides integers by zero`);
  }
  return divide(node, inputs, shapes);
};

function comparison(compare: (a: number | bigint, b: number | bigint) => boolean): Fold {
  return (node, inputs, [shape]) => {
    const a = requireTensor(node, inputs, 0);
    const b = requireTensor(node, inputs, 1);
    sameType(node, a, b);
    const data = new Uint8Array(shape!.reduce((product, dim) => product * dim, 1));
    walk(shape!, broadcastStrides(a.shape, shape!), broadcastStrides(b.shape, shape!), (index, i, j) => {
      data[index] = compare(a.data[i]!, b.data[j]!) ? 1 : 0;
    });
    return [{ dtype: 'bool', shape: [...shape!], data }];
  };
}

function unary(float: (value: number) => number, big: (value: bigint) => bigint): Fold {
  return (node, inputs) => {
    const { dtype, shape, data } = widenToFloat32(requireTensor(node, inputs, 0));
    const result: TensorData = allocate(dtype, data.length);
    if (isBigInt(data)) (data as BigInt64Array).forEach((value, index) => void (result[index] = big(value)));
    else (data as Float32Array).forEach((value, index) => void (result[index] = float(value)));
    return [{ dtype, shape, data: result }];
  };
}

/** Reductions of integers and small float constants, in float64 (or 64-bit integers), row-major order. */
function reduction(float: Arithmetic<number>, big: Arithmetic<bigint>, start?: number, mean = false): Fold {
  return (node, inputs, [shape]) => {
    const { dtype, shape: from, data } = widenToFloat32(requireTensor(node, inputs, 0));
    const axes = new Set(reductionAxes(node, from, inputs));
    const count = from.reduce((product, dim, axis) => (axes.has(axis) ? product * dim : product), 1);
    if (count === 0 && (start === undefined || mean)) {
      throw new InputError(`${describe(node)} reduces an empty tensor, which has no result`);
    }
    const kept = rowMajorStrides(from.map((dim, axis) => (axes.has(axis) ? 1 : dim)));
    const strides = from.map((_, axis) => (axes.has(axis) ? 0 : kept[axis]!));
    const total = shape!.reduce((product, dim) => product * dim, 1);
    const result = allocate(dtype, total);
    if (isBigInt(data)) {
      const sums: (bigint | undefined)[] = new Array(total).fill(start === undefined ? undefined : BigInt(start));
      walk(from, strides, strides, (index, at) => {
        const value = data[index]!;
        sums[at] = sums[at] === undefined ? value : big(sums[at], value);
      });
      sums.forEach((value, at) => void (result[at] = mean ? value! / BigInt(count) : value!));
    } else {
      const sums: (number | undefined)[] = new Array(total).fill(start);
      walk(from, strides, strides, (index, at) => {
        const value = data[index]!;
        sums[at] = sums[at] === undefined ? value : float(sums[at], value);
      });
      const divisor = mean ? count : 1;
      sums.forEach((value, at) => void (result[at] = value! / divisor));
    }
    return [{ dtype, shape: [...shape!], data: result }];
  };
}

const clip: Fold = (node, inputs) => {
  let value = requireTensor(node, inputs, 0);
  const bounds: [number, Fold][] = [
    [1, maximum],
    [2, minimum],
  ];
  for (const [index, fold] of bounds) {
    const bound = inputs[index];
    const pair = { ...node, inputs: ['x', 'bound'] };
    if (bound) value = fold(pair, [value, { ...bound, shape: [] }], [[...value.shape]])![0]!;
  }
  return [value];
};

const maximum = binary((a, b) => Math.max(a, b), larger);
const minimum = binary((a, b) => Math.min(a, b), smaller);

const modulo: Fold = (node, inputs, shapes) => {
  const divisor = requireTensor(node, inputs, 1);
  if (divisor.dtype !== 'float32' && (divisor.data as Float32Array).some((value) => Number(value) === 0)) {
    throw new InputError(`${describe(node)} divides integers by zero`);
  }
  // fmod = 1 takes the sign of the dividend, as % does here; the default takes that of the divisor, as in Python.
  const fmod = intAttribute(node, 'fmod', 0) !== 0;
  return binary(
    (a, b) => (fmod ? a % b : a - b * Math.floor(a / b)),
    (a, b) => (fmod || a % b === 0n || a < 0n === b < 0n ? a % b : (a % b) + b),
  )(node, inputs, shapes);
};

export const arithmeticFolds: Readonly<Record<string, Fold>> = {
  Add: binary(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  Sub: binary(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  Mul: binary(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  Div: foldDivide,
  Mod: modulo,
  Max: maximum,
  Min: minimum,
  Clip: clip,
  Equal: comparison((a, b) => a === b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  And: comparison((a, b) => Boolean(a) && Boolean(b)),
  Or: comparison((a, b) => Boolean(a) || Boolean(b)),
  Not: unary(
    (value) => (value ? 0 : 1),
    (value) => value,
  ),
  Neg: unary(
    (value) => -value,
    (value) => -value,
  ),
  Abs: unary(Math.abs, (value) => (value < 0n ? -value : value)),
  Floor: unary(Math.floor, (value) => value),
  Ceil: unary(Math.ceil, (value) => value),
  Sqrt: unary(Math.sqrt, (value) => value),
  ReduceProd: reduction(
    (a, b) => a * b,
    (a, b) => a * b,
    1,
  ),
  ReduceSum: reduction(
    (a, b) => a + b,
    (a, b) => a + b,
    0,
  ),
  ReduceMean: reduction(
    (a, b) => a + b,
    (a, b) => a + b,
    0,
    true,
  ),
  ReduceMax: reduction(Math.max, larger),
  ReduceMin: reduction(Math.min, smaller),
};
