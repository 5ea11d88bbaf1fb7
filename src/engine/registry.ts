import type { InferShape } from '../graph/shapes.ts';
import type { Operator } from './operator.ts';
import { operatorModules } from './ops/index.ts';

const operators = new Map<string, Operator>(operatorModules.flat().map((operator) => [operator.op, operator]));

export function findOperator(op: string): Operator | undefined {
  return operators.get(op);
}

/** Every operator that can be executed; the rest is folded beforehand or refused. */
export const supportedOperators: ReadonlySet<string> = new Set(operators.keys());

/** Shape inference of the executable operators, as `graph/` takes it. */
export function inferOperator(op: string): InferShape | undefined {
  return operators.get(op)?.infer;
}
