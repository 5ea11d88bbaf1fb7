import type { Capabilities } from '../gpu/capabilities.ts';
import { grid } from './kernel.ts';

/**
 * How independent items are spread over workgroups: workgroup g takes items g·span to (g + 1)·span − 1, lane l of it
 * every wg-th from l on. A GPU gets one item per invocation. On a CPU adapter a workgroup costs about as much as fifty
 * simple items, so there it gets few long ones, enough to keep every core busy to the end. Eight invocations, one
 * subgroup of lavapipe, take less time per item than 4, 16 or 32.
 */
export function spread(
  capabilities: Pick<Capabilities, 'kind'>,
  items: number,
): { wg: number; span: number; workgroups: [number, number, number] } {
  const cpu = capabilities.kind === 'cpu';
  const wg = cpu ? 8 : 64;
  const span = cpu ? Math.max(1, Math.ceil(items / 64 / wg)) * wg : wg;
  return { wg, span, workgroups: grid(items, span) };
}

/** The same for elementwise kernels over arrays of T, which take four elements at a time where that comes out even. */
export function spreadElements(capabilities: Pick<Capabilities, 'kind'>, elements: number, vectors = true) {
  const lanes = vectors && elements % 4 === 0 ? 4 : 1;
  const n = elements / lanes;
  const { wg, span, workgroups } = spread(capabilities, n);
  return { lanes, args: { n, span }, tunables: { WG: wg, T: lanes === 4 ? 'vec4f' : 'f32' }, workgroups };
}

/**
 * The same for kernels whose arguments change between replays: the work of an invocation is a constant of the pipeline,
 * and a power of two, so that few pipelines serve all sizes.
 */
export function spreadConstant(capabilities: Pick<Capabilities, 'kind'>, items: number) {
  const { wg, span } = spread(capabilities, items);
  const each = 2 ** Math.ceil(Math.log2(span / wg));
  return { tunables: { WG: wg, PER: each }, workgroups: grid(items, wg * each) };
}
