import type { CompiledPlan } from './builder.ts';

/** Bytes of the temporaries that are in use while each of a plan's dispatches runs. */
export function liveBytes({ storages, commands }: Pick<CompiledPlan, 'storages' | 'commands'>): number[] {
  return commands.flatMap((command, at) => {
    // A dispatch of no workgroups is no part of the plan.
    if (command.kind !== 'dispatch' || command.workgroups.includes(0)) return [];
    let bytes = 0;
    for (const storage of storages) if (storage.first <= at && at <= storage.last) bytes += storage.bytes;
    return [bytes];
  });
}
