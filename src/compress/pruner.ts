import { buildPlan, type CompiledPlan } from '../engine/builder.ts';
import type { ParameterStore } from '../engine/parameters.ts';
import type { Value } from '../engine/value.ts';
import type { BufferSlice } from '../gpu/buffers.ts';
import { accumulateImportance, type ImportanceKind } from '../kernels/accumulateImportance.ts';
import { applyMask } from '../kernels/applyMask.ts';
import { type ArenaRange, arenaRanges, arenaSlice, companionLength } from '../kernels/arena.ts';
import { pruneSmallest, selectionTiles } from '../kernels/selectThreshold.ts';
import type { Trainer } from '../train/trainer.ts';

export interface PrunerOptions {
  /** Names of the weights that may be pruned. */
  prunable: readonly string[];
  /** One ranking for all of them, or one for each. */
  scope: 'global' | 'layer';
  importance: ImportanceKind;
}

/**
 * Prunes the weights of a trainer in place: the ranking, the threshold and the mask are computed on the GPU, by a plan
 * that is compiled once and replayed for every step of a schedule.
 */
export class MaskPruner {
  readonly #store: ParameterStore;
  readonly #compiled: CompiledPlan;
  readonly #counts: BufferSlice;
  readonly #groups: readonly number[];

  private constructor(store: ParameterStore, compiled: CompiledPlan, counts: BufferSlice, groups: readonly number[]) {
    this.#store = store;
    this.#compiled = compiled;
    this.#counts = counts;
    this.#groups = groups;
  }

  static async create(trainer: Trainer, { prunable, scope, importance }: PrunerOptions): Promise<MaskPruner> {
    const { store, gpu } = trainer;
    const chosen = new Set(prunable);
    const parameters = store.trained.filter(({ name }) => chosen.has(name));
    const missing = prunable.find((name) => !store.find(name));
    if (missing) throw new Error(`There is no weight ${missing} to prune`);
    const grouped = parameters.map(({ offset, elements }, index) => ({
      offset,
      elements,
      group: scope === 'global' ? 0 : index,
    }));
    const groups = new Array<number>(scope === 'global' ? 1 : parameters.length).fill(0);
    for (const { elements, group } of grouped) groups[group] += elements;

    const scoreSlice = trainer.scores ?? (importance === 'magnitude' ? store.companion('importance') : undefined);
    if (!scoreSlice) throw new Error(`The trainer has not accumulated ${importance}`);
    const arena = store.arena('weights');
    const ranges = arenaRanges(store.elements('weights'), gpu.capabilities.maxBindingBytes);
    const { compiled, parts: counts } = await buildPlan(gpu, 'pruning', (builder) => {
      builder.context = 'prune';
      const floats = (slice: BufferSlice, range: ArenaRange, label: string) =>
        builder.persistent(arenaSlice(slice, range), [range.elements], 'f32', label);
      const counts = builder.own([groups.length], 'u32', 'counts');
      const selected = ranges.map((range) => {
        const scores = floats(scoreSlice, range, 'importance');
        if (importance === 'magnitude') {
          accumulateImportance(builder, { kind: 'magnitude', weights: floats(arena, range, 'weights'), scores });
        }
        const list = selectionTiles(grouped, range);
        const tiles = builder.own([list.length], 'u32', 'tiles');
        if (list.length > 0) gpu.write(tiles.storage.slice as BufferSlice, list);
        const mask = builder.persistent(
          arenaSlice(trainer.mask, range, 'mask'),
          [companionLength(range.elements, 'mask')],
          'u32',
          'mask',
        );
        return { scores, mask, tiles, start: range.start };
      });
      pruneSmallest(builder, { ranges: selected, counts: counts as Value<'u32'> });
      ranges.forEach((range, index) => {
        // Pruned weights and the momentum that would move them again.
        for (const [name, slice] of trainer.buffers) {
          if (name === 'mask' || name === 'state' || name === 'importance') continue;
          applyMask(builder, { mask: selected[index].mask, values: floats(slice, range, name) });
        }
        // What was accumulated before this pruning says little of the weights that are left.
        if (importance !== 'magnitude') builder.clear(selected[index].scores);
      });
      return counts.storage.slice as BufferSlice;
    });
    return new MaskPruner(store, compiled, counts, groups);
  }

  /** Queues pruning to a fraction `sparsity` of each ranking's weights. What is pruned already stays so and counts. */
  prune(sparsity: number): void {
    const counts = Uint32Array.from(this.#groups, (elements) => Math.round(sparsity * elements));
    this.#store.gpu.write(this.#counts, counts);
    this.#compiled.plan.replay();
  }

  dispose(): void {
    this.#compiled.dispose();
  }
}
