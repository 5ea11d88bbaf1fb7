import type { ConvAlternatives } from '../../kernels/convCall.ts';
import type { PlanUse } from '../operator.ts';

let loaded: ConvAlternatives | undefined;

/**
 * Fetches the ways to convolve, and to multiply by packed weights, that are for adapters which run on a CPU, where a node
 * of this operator has weights of one of these forms. On a GPU, nothing is known of them: they are taken where tuning
 * found them to be faster, and there only.
 */
export async function loadConvAlternatives(
  op: string,
  { graph, capabilities, formOf }: PlanUse,
  forms: readonly (string | undefined)[],
): Promise<void> {
  const suits = graph.nodes.some((node) => node.op === op && forms.includes(formOf?.(node.inputs[1] ?? '')));
  if (suits && (capabilities.kind === 'cpu' || capabilities.tuned)) {
    loaded ??= (await import('../../kernels/convAlternatives.ts')).convAlternatives;
  }
}

/** Undefined where no plan so far has needed them. */
export function convAlternatives(): ConvAlternatives | undefined {
  return loaded;
}
