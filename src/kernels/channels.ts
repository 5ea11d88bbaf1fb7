import type { Capabilities } from '../gpu/capabilities.ts';

/** A tensor [n, c, plane] taken per channel: images, channels, and the elements of one channel in one image. */
export interface ChannelShape {
  n: number;
  c: number;
  plane: number;
}

/** How kernels that work per channel walk a tensor: workgroup (channel, split) takes `span` units of its channel. */
export interface ChannelWalk {
  /** Invocations per workgroup. */
  wg: number;
  /** Floats per unit: 4 where planes are whole vectors. */
  lanes: 1 | 4;
  /** The uniform's fields that all of these kernels share; lengths in units. */
  args: {
    channels: number;
    splits: number;
    count: number;
    plane: number;
    span: number;
    step_rest: number;
    step_at: number;
    wrap: number;
  };
}

/**
 * Splits channels over workgroups. A GPU wants a few thousand invocations and neighbouring lanes on neighbouring
 * addresses; a CPU adapter wants few, long workgroups, because each costs more than its work. `reduction`: parts are
 * added up afterwards, so there should not be too many; and a lane should not sum too many in sequence, for the digits.
 */
export function walkChannels(
  capabilities: Pick<Capabilities, 'kind' | 'maxInvocations'>,
  { n, c, plane }: ChannelShape,
  { reduction }: { reduction: boolean },
): ChannelWalk {
  const lanes = plane % 4 === 0 ? 4 : 1;
  const units = plane / lanes;
  const count = n * units;
  const cpu = capabilities.kind === 'cpu';
  const wg = cpu ? 8 : count >= 256 && capabilities.maxInvocations >= 256 ? 256 : 64;
  const targetWorkgroups = cpu ? 32 : 2048;
  const minPerLane = cpu ? 16 : reduction ? 8 : 2;
  const maxPerLane = 512;
  const wanted = Math.ceil(targetWorkgroups / Math.max(c, 1));
  const most = Math.max(1, Math.floor(count / (wg * minPerLane)));
  const least = reduction ? Math.ceil(count / (wg * maxPerLane)) : 1;
  const parts = Math.max(least, Math.min(wanted, most));
  const span = Math.max(wg, Math.ceil(count / parts / wg) * wg);
  const splits = Math.max(1, Math.ceil(count / span));
  const planesPerStep = Math.floor(wg / Math.max(units, 1));
  const stepRest = units > 0 ? wg % units : 0;
  return {
    wg,
    lanes,
    args: {
      channels: c,
      splits,
      count,
      plane: units,
      span,
      step_rest: stepRest,
      step_at: planesPerStep * c * units + stepRest,
      wrap: (c - 1) * units,
    },
  };
}
