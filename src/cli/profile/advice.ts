/** What the text of a kernel and the size of its dispatch say about its speed, before anything is measured. */
import type { Capabilities } from '../../gpu/capabilities.ts';
import { busyWorkgroups } from '../../kernels/productVariant.ts';
import type { StridedAccess } from './access.ts';

export interface Advice {
  kernel: string;
  about: 'workgroup size' | 'workgroup memory' | 'workgroups' | 'access' | 'loop';
  /** In the shader's text; absent where it concerns all of it. */
  line?: number;
  text: string;
}

/** What is known of a kernel without running it. */
export interface KernelFacts {
  kernel: string;
  workgroupSize: readonly [number, number, number];
  workgroupBytes: number;
  workgroups: readonly [number, number, number];
  accesses: readonly StridedAccess[];
  /** Of `wgsl_reflect`'s analysis. */
  findings: readonly { line: number; message: string }[];
}

type Adapter = Pick<Capabilities, 'kind' | 'subgroupSize' | 'maxInvocations' | 'maxWorkgroupMemory'>;

/** Lanes that GPUs run together at least, where the adapter does not say. */
const USUAL_SUBGROUP = 32;

export function adviseOn(facts: KernelFacts, adapter: Adapter): Advice[] {
  const { kernel } = facts;
  return [
    ...workgroupSize(facts, adapter).map((text) => ({ kernel, about: 'workgroup size' as const, text })),
    ...workgroupMemory(facts, adapter).map((text) => ({ kernel, about: 'workgroup memory' as const, text })),
    ...occupancy(facts, adapter).map((text) => ({ kernel, about: 'workgroups' as const, text })),
    ...facts.accesses.map((access) => ({
      kernel,
      about: 'access' as const,
      line: access.line,
      text: strided(access, adapter),
    })),
    ...facts.findings.map(({ line, message }) => ({ kernel, about: 'loop' as const, line, text: message })),
  ];
}

function workgroupSize({ workgroupSize }: KernelFacts, { kind, subgroupSize }: Adapter): string[] {
  const invocations = workgroupSize.reduce((a, b) => a * b, 1);
  const lanes = subgroupSize ?? (kind === 'gpu' ? USUAL_SUBGROUP : undefined);
  if (lanes === undefined || invocations % lanes === 0) return [];
  const idle = lanes - (invocations % lanes);
  const whose = subgroupSize ? `subgroups of ${lanes}` : `the ${lanes} lanes that most GPUs run together`;
  const share = Math.round((100 * idle) / (invocations + idle));
  return [`${invocations} invocations are no multiple of ${whose}: ${idle} lanes (${share} %) of every workgroup idle`];
}

function workgroupMemory({ workgroupBytes }: KernelFacts, { kind, maxWorkgroupMemory }: Adapter): string[] {
  if (workgroupBytes === 0) return [];
  const share = workgroupBytes / maxWorkgroupMemory;
  const texts: string[] = [];
  if (share > 0.5) {
    texts.push(
      `${workgroupBytes} of ${maxWorkgroupMemory} bytes (${Math.round(100 * share)} %): a core has room for few such workgroups at a time, so little hides the wait for memory`,
    );
  }
  if (kind === 'cpu') {
    texts.push(
      `${workgroupBytes} bytes of workgroup memory on an adapter that runs on a CPU: caches serve it as well, and a barrier costs more than it saves`,
    );
  }
  return texts;
}

function occupancy({ workgroups }: KernelFacts, adapter: Adapter): string[] {
  const count = workgroups.reduce((a, b) => a * b, 1);
  const busy = busyWorkgroups(adapter);
  return count >= busy ? [] : [`${count} workgroups; about ${busy} keep an adapter of this kind busy`];
}

function strided({ array, stride }: StridedAccess, { kind }: Adapter): string {
  const here = kind === 'cpu' ? ' (on a GPU; an adapter that runs on a CPU loads lane by lane anyway)' : '';
  const advice = `let neighbours access neighbours${here}`;
  if (stride === undefined) {
    return `neighbouring invocations access '${array}' a factor apart that is known only at run time, and touch as many times the memory that they use; ${advice}`;
  }
  const apart = Math.abs(stride);
  return `neighbouring invocations access '${array}' ${apart} elements apart and touch ${apart} times the memory that they use; ${advice}`;
}
