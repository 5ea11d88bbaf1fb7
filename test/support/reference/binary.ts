import { type Array64, array64, eachIndex, operand, type Reference, stridesOf } from './reference.ts';

/** Applies f under NumPy's multidirectional broadcasting. */
export function broadcast(a: Array64, b: Array64, f: (x: number, y: number) => number): Array64 {
  const rank = Math.max(a.shape.length, b.shape.length);
  const padded = ({ shape }: Array64) => [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const [shapeA, shapeB] = [padded(a), padded(b)];
  const out = array64(shapeA.map((length, axis) => (length === 1 ? shapeB[axis]! : length)));
  const [stridesA, stridesB] = [stridesOf(shapeA), stridesOf(shapeB)];
  eachIndex(out.shape, (index, flat) => {
    let [atA, atB] = [0, 0];
    index.forEach((position, axis) => {
      atA += shapeA[axis] === 1 ? 0 : position * stridesA[axis]!;
      atB += shapeB[axis] === 1 ? 0 : position * stridesB[axis]!;
    });
    out.data[flat] = f(a.data[atA]!, b.data[atB]!);
  });
  return out;
}

const binary =
  (f: (x: number, y: number) => number): Reference =>
  (call) => [broadcast(operand(call, 0), operand(call, 1), f)];

export const binaryReferences: Readonly<Record<string, Reference>> = {
  Add: binary((x, y) => x + y),
  Sub: binary((x, y) => x - y),
  Mul: binary((x, y) => x * y),
  Div: binary((x, y) => x / y),
};
