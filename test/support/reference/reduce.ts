import { array64, eachIndex, operand, type Reference, stridesOf } from './reference.ts';

export const reductionReferences: Readonly<Record<string, Reference>> = {
  ReduceMean(call) {
    const x = operand(call, 0);
    const rank = x.shape.length;
    const given = Array.from(call.inputs[1]?.data ?? [], (axis) => (axis < 0 ? axis + rank : axis));
    const noop = Number(call.attributes.noop_with_empty_axes ?? 0) !== 0;
    const axes = given.length > 0 ? given : noop ? [] : x.shape.map((_, axis) => axis);
    const kept = x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    const sums = array64(kept);
    const strides = stridesOf(kept);
    eachIndex(x.shape, (index, flat) => {
      const at = index.reduce((sum, position, axis) => sum + (kept[axis] === 1 ? 0 : position * strides[axis]!), 0);
      sums.data[at]! += x.data[flat]!;
    });
    const count = axes.reduce((product, axis) => product * x.shape[axis]!, 1);
    const keepdims = Number(call.attributes.keepdims ?? 1) !== 0;
    const shape = keepdims ? kept : kept.filter((_, axis) => !axes.includes(axis));
    return [
      array64(
        shape,
        sums.data.map((sum) => sum / count),
      ),
    ];
  },
};
