import type { InferShape } from '../graph/shapes.ts';
import type { Operator, PlanUse } from './operator.ts';
import { operatorModules } from './ops/index.ts';

const operators = new Map<string, Operator>(operatorModules.flat().map((operator) => [operator.op, operator]));

export function findOperator(op: string): Operator | undefined {
  return operators.get(op);
}

/** Every operator that can be executed; the rest is folded beforehand or refused. */
export const supportedOperators: ReadonlySet<string> = new Set(operators.keys());

/** Fetches what the operators of a graph need to be recorded. */
export async function loadOperators(use: PlanUse): Promise<void> {
  const needed = new Set(use.graph.nodes.map(({ op }) => operators.get(op)));
  await Promise.all([...needed].map((operator) => operator?.load?.(use)));
}

/** Shape inference of the executable operators, as `graph/` takes it. */
export function inferOperator(op: string): InferShape | undefined {
  return operators.get(op)?.infer;
}
