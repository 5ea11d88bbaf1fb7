import { InputError } from '../graph/errors.ts';
import { foldNode } from '../graph/fold/fold.ts';
import type { InferLookup } from '../graph/infer/common.ts';
import { inferShapeOfOperator } from '../graph/infer/inferers.ts';
import { propagate } from '../graph/propagate.ts';
import type { Graph } from '../graph/types.ts';

/** Ranks as the model declares them, else inferred with 1 for every symbolic length (ranks do not depend on those). */
export function inferRanks(
  graph: Graph,
  declared: ReadonlyMap<string, number>,
  lookup: InferLookup = inferShapeOfOperator,
): ReadonlyMap<string, number> {
  const shapes = new Map(
    graph.inputs.flatMap(({ name, shape }) =>
      shape ? [[name, shape.map((dim) => (typeof dim === 'number' ? dim : 1))] as const] : [],
    ),
  );
  try {
    const inferred = propagate(graph, { infer: lookup, fold: foldNode }, shapes).shapes;
    return new Map([...declared, ...[...inferred].map(([name, shape]) => [name, shape.length] as const)]);
  } catch (error) {
    // A length of 1 may be too small for a window: then only what is declared is known.
    if (error instanceof InputError) return declared;
    throw error;
  }
}
