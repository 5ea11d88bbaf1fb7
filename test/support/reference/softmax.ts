import { array64, operand, type Reference, type ReferenceCall, stridesOf } from './reference.ts';

/** Runs `row` over every line of x along the attribute `axis`, in place of a copy. */
function alongAxis(call: ReferenceCall, row: (line: Float64Array) => ArrayLike<number>) {
  const x = operand(call, 0);
  const out = array64(x.shape, x.data);
  const rank = x.shape.length;
  const given = Number(call.attributes.axis ?? -1);
  const axis = given < 0 ? given + rank : given;
  const [length, stride] = [x.shape[axis]!, stridesOf(x.shape)[axis]!];
  for (let start = 0; start < x.data.length; start++) {
    if (Math.floor(start / stride) % length !== 0) continue;
    const line = Float64Array.from({ length }, (_, i) => x.data[start + i * stride]!);
    const result = row(line);
    for (let i = 0; i < length; i++) out.data[start + i * stride] = result[i]!;
  }
  return [out];
}

function softmax(line: Float64Array): Float64Array {
  const max = line.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = line.map((value) => Math.exp(value - max));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

function logSoftmax(line: Float64Array): Float64Array {
  const max = line.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = line.reduce((total, value) => total + Math.exp(value - max), 0);
  return line.map((value) => value - max - Math.log(sum));
}

export const normalizationReferences: Readonly<Record<string, Reference>> = {
  Softmax: (call) => alongAxis(call, softmax),
  LogSoftmax: (call) => alongAxis(call, logSoftmax),
};
