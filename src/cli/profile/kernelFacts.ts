import type { DispatchInfo } from '../../gpu/plan.ts';
import { InputError } from '../../graph/errors.ts';
import { stridedAccesses } from './access.ts';
import type { KernelFacts } from './advice.ts';
import { loadReflection, reflectShader, type ShaderFile } from './shaderFile.ts';

/** Facts of a reflected shader and its dispatch. */
export async function factsOf(file: ShaderFile, workgroups: readonly [number, number, number]): Promise<KernelFacts> {
  const { code, entry, workgroupSize, workgroupBytes, bindings, path: kernel } = file;
  const arrays = new Set(bindings.filter(({ access }) => access !== 'uniform').map(({ name }) => name));
  return {
    kernel,
    workgroupSize,
    workgroupBytes,
    workgroups,
    accesses: await stridedAccesses(code, entry, { workgroupSize, arrays }),
    findings: await findingsOf(code),
  };
}

/** Expensive operations, divisions, atomics and barriers inside loops, of which the analysis is sure enough. */
async function findingsOf(code: string): Promise<KernelFacts['findings']> {
  const { analyzePerformance } = await loadReflection();
  const { findings } = analyzePerformance(code, { exclude: { severities: ['info'], confidences: ['low'] } });
  const once = new Map(findings.map(({ line, rule, message }) => [`${line} ${rule}`, { line, message }]));
  return [...once.values()].map(({ line, message }) => ({ line, message: message.split(/(?<=\.)\s/)[0]! }));
}

/** Facts of the distinct kernels of a plan, each with its largest dispatch. Kernels that do not parse are left out. */
export async function factsOfPlan(dispatches: readonly DispatchInfo[]): Promise<KernelFacts[]> {
  const size = ({ workgroups }: DispatchInfo) => workgroups.reduce((a, b) => a * b, 1);
  const largest = new Map<string, DispatchInfo>();
  for (const dispatch of dispatches) {
    const known = largest.get(dispatch.program);
    if (!known || size(known) < size(dispatch)) largest.set(dispatch.program, dispatch);
  }
  const facts: KernelFacts[] = [];
  for (const { program, source, workgroups } of largest.values()) {
    try {
      const { entry, overrides, code } = source;
      facts.push(await factsOf(await reflectShader(program, code, { entry, overrides }), workgroups));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  return facts;
}
