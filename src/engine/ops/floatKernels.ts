import type { FloatLayer } from '../../kernels/floatLayer.ts';
import type { PlanUse } from '../operator.ts';

let loaded: FloatLayer | undefined;

/** Fetches the kernels of float32 layers where a node of this operator has one, as its second input. */
export async function loadFloatKernels(op: string, { graph, formOf }: PlanUse): Promise<void> {
  const isFloat = graph.nodes.some((node) => node.op === op && !formOf?.(node.inputs[1] ?? ''));
  if (isFloat) loaded ??= (await import('../../kernels/floatLayer.ts')).floatLayer;
}

export function floatKernels(): FloatLayer {
  if (!loaded) throw new Error('The kernels of float32 layers are not there yet: loadOperators must come first');
  return loaded;
}
