import type { ConvAlternatives } from './convCall.ts';
import { stripsConv } from './convStrips.ts';
import { subgroupConv } from './convSubgroup.ts';
import { depthwiseConv, suitsDepthwise } from './depthwise.ts';
import { takesStrips } from './stripsChoice.ts';
import { isDirect, planConv } from './validConv.ts';
import { winogradConv } from './winograd.ts';
import { takesWinograd } from './winogradChoice.ts';

/**
 * For `ValidConv.alternatives`: Winograd's way, strips, the direct sum of depthwise convolutions by columns, and tiles of
 * subgroups.
 */
export const convAlternatives: ConvAlternatives = (recorder, call, tuned) => {
  if (takesWinograd(recorder, call, tuned)) {
    winogradConv(recorder, call);
    return true;
  }
  if (takesStrips(recorder.capabilities, call, tuned)) {
    stripsConv(recorder, call);
    return true;
  }
  const isKnown = recorder.capabilities.kind === 'cpu' || tuned !== undefined;
  if (isKnown && isDirect(call, tuned) && suitsDepthwise(call)) {
    depthwiseConv(recorder, call);
    return true;
  }
  const { images, groupOut: m, oh, ow } = call;
  const plan = typeof tuned === 'object' ? tuned : planConv(recorder.capabilities, { ...call, m, n: images * oh * ow });
  if (plan.variant.kind !== 'subgroup') return false;
  subgroupConv(recorder, call, plan.variant, plan);
  return true;
};
