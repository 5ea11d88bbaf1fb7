import {
  type Array64,
  array64,
  eachIndex,
  operand,
  type Reference,
  type ReferenceCall,
  stridesOf,
} from './reference.ts';

/** A tensor whose element at an index is that of x at `place(index)`, or `fill` where there is none. */
function rearrange(
  x: Array64,
  shape: readonly number[],
  place: (index: readonly number[]) => readonly number[] | undefined,
  fill = 0,
): Array64 {
  const strides = stridesOf(x.shape);
  const y = array64(shape);
  eachIndex(shape, (index, flat) => {
    const from = place(index);
    y.data[flat] = from ? x.data[from.reduce((sum, position, axis) => sum + position * strides[axis]!, 0)]! : fill;
  });
  return y;
}

const numbers = (call: ReferenceCall, index: number): number[] | undefined => {
  const input = call.inputs[index];
  return input && [...input.data];
};

const positive = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** The positions that Python's range(dim)[start:end:step] visits. */
function visited(dim: number, start: number, end: number, step: number): number[] {
  const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const from = start < 0 ? start + dim : start;
  const to = end < 0 ? end + dim : end;
  const positions: number[] = [];
  if (step > 0) for (let at = clip(from, 0, dim); at < clip(to, 0, dim); at += step) positions.push(at);
  else for (let at = clip(from, -1, dim - 1); at > clip(to, -1, dim - 1); at += step) positions.push(at);
  return positions;
}

/** Where position `at` of an axis comes from after it was padded by `begin` in front; undefined for the constant. */
function unpadded(mode: string, at: number, begin: number, length: number): number | undefined {
  let position = at - begin;
  if (position >= 0 && position < length) return position;
  if (mode === 'constant') return undefined;
  if (mode === 'edge') return position < 0 ? 0 : length - 1;
  if (mode === 'wrap') return (position + length) % length;
  if (position < 0) position = -position;
  return position < length ? position : 2 * (length - 1) - position;
}

export const layoutReferences: Readonly<Record<string, Reference>> = {
  Transpose(call) {
    const x = operand(call, 0);
    const perm = (call.attributes.perm as number[] | undefined) ?? x.shape.map((_, i) => x.shape.length - 1 - i);
    const shape = perm.map((axis) => x.shape[axis]!);
    return [rearrange(x, shape, (index) => x.shape.map((_, axis) => index[perm.indexOf(axis)]!))];
  },
  Slice(call) {
    const x = operand(call, 0);
    const [starts, ends] = [numbers(call, 1)!, numbers(call, 2)!];
    const axes = numbers(call, 3) ?? starts.map((_, i) => i);
    const steps = numbers(call, 4) ?? starts.map(() => 1);
    const positions = x.shape.map((dim) => visited(dim, 0, dim, 1));
    axes.forEach((axis, i) => {
      const at = positive(axis, x.shape.length);
      positions[at] = visited(x.shape[at]!, starts[i]!, ends[i]!, steps[i]!);
    });
    const shape = positions.map(({ length }) => length);
    return [rearrange(x, shape, (index) => index.map((at, axis) => positions[axis]![at]!))];
  },
  Concat(call) {
    const parts = call.inputs as Array64[];
    const axis = positive(Number(call.attributes.axis), parts[0]!.shape.length);
    const shape = [...parts[0]!.shape];
    shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
    const y = array64(shape);
    eachIndex(shape, (index, flat) => {
      let [part, at] = [0, index[axis]!];
      while (at >= parts[part]!.shape[axis]!) at -= parts[part++]!.shape[axis]!;
      const strides = stridesOf(parts[part]!.shape);
      const place = index.with(axis, at).reduce((sum, position, i) => sum + position * strides[i]!, 0);
      y.data[flat] = parts[part]!.data[place]!;
    });
    return [y];
  },
  Pad(call) {
    const x = operand(call, 0);
    const rank = x.shape.length;
    const axes = (numbers(call, 3) ?? x.shape.map((_, i) => i)).map((axis) => positive(axis, rank));
    const pads = numbers(call, 1)!;
    const begins = x.shape.map((_, axis) => (axes.includes(axis) ? pads[axes.indexOf(axis)]! : 0));
    const ends = x.shape.map((_, axis) => (axes.includes(axis) ? pads[axes.indexOf(axis) + axes.length]! : 0));
    const mode = String(call.attributes.mode ?? 'constant');
    const shape = x.shape.map((dim, axis) => dim + begins[axis]! + ends[axis]!);
    const place = (index: readonly number[]) => {
      const from = index.map((at, axis) => unpadded(mode, at, begins[axis]!, x.shape[axis]!));
      return from.includes(undefined) ? undefined : (from as number[]);
    };
    return [rearrange(x, shape, place, numbers(call, 2)?.[0] ?? 0)];
  },
  Gather(call) {
    const [x, indices] = [operand(call, 0), operand(call, 1)];
    const axis = positive(Number(call.attributes.axis ?? 0), x.shape.length);
    const inner = indices.shape.length;
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    const strides = stridesOf(indices.shape);
    const place = (index: readonly number[]) => {
      const position = strides.reduce((sum, stride, i) => sum + stride * index[axis + i]!, 0);
      const taken = positive(indices.data[position]!, x.shape[axis]!);
      return [...index.slice(0, axis), taken, ...index.slice(axis + inner)];
    };
    return [rearrange(x, shape, place)];
  },
};
