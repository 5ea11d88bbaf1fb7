import type { Builder } from '../engine/builder.ts';
import type { ParameterStore } from '../engine/parameters.ts';
import type { Value } from '../engine/value.ts';
import { type BufferSlice, wholeBuffer } from '../gpu/buffers.ts';
import { adam, adamArgs, adamShader } from '../kernels/adam.ts';
import {
  type ArenaRange,
  arenaRanges,
  arenaSlice,
  companionLength,
  RATE_GROUPS,
  segmentTable,
} from '../kernels/arena.ts';
import { DynamicArgs } from '../kernels/dynamicArgs.ts';
import { globalNorm } from '../kernels/globalNorm.ts';
import { sgd, sgdArgs, sgdShader } from '../kernels/sgd.ts';

export type OptimizerConfig =
  | {
      kind: 'sgd';
      learningRate: number;
      momentum: number;
      nesterov: boolean;
      weightDecay: number;
      /** Multiplier of the learning rate for quantizer scales. */
      scaleRate: number;
      /** Gradients are scaled down to this norm. */
      clipNorm?: number | undefined;
    }
  | {
      kind: 'adam' | 'adamw';
      learningRate: number;
      beta1: number;
      beta2: number;
      epsilon: number;
      weightDecay: number;
      scaleRate: number;
      clipNorm?: number | undefined;
    };

const SCALE_GROUP = 1;

/**
 * The state of an optimizer over a store's weights: its moments, and the table that says which parameters decay (the
 * weights, not biases, normalisation or scales). One dispatch updates all parameters.
 */
export class Optimizer {
  readonly config: OptimizerConfig;
  /** What a checkpoint must hold, by name. */
  readonly moments: ReadonlyMap<string, BufferSlice>;
  readonly #store: ParameterStore;
  readonly #segments: BufferSlice;
  readonly #multipliers: BufferSlice;
  readonly #sgdArgs: DynamicArgs<typeof sgdShader> | undefined;
  readonly #adamArgs: DynamicArgs<typeof adamShader> | undefined;

  constructor(store: ParameterStore, config: OptimizerConfig) {
    const { gpu } = store;
    this.config = config;
    this.#store = store;
    const elements = store.elements('weights');
    const names = config.kind === 'sgd' ? ['momentum'] : ['moment1', 'moment2'];
    this.moments = new Map(names.map((name) => [name, store.companion(name)]));
    const table = segmentTable(
      elements,
      store.trained.map(({ offset, elements: length, role }) => ({
        offset,
        elements: length,
        decays: role === 'weight',
        // Steps as long as the rate would drive small scales below zero (as in Jain et al. 2020, TQT, who train logarithms).
        relative: role === 'scale',
        group: role === 'scale' ? SCALE_GROUP : 0,
      })),
    );
    this.#segments = wholeBuffer(gpu.buffers.create(table.byteLength, 'segments'));
    gpu.write(this.#segments, table);
    const multipliers = new Float32Array(RATE_GROUPS).fill(1);
    multipliers[SCALE_GROUP] = config.scaleRate;
    this.#multipliers = wholeBuffer(gpu.buffers.create(multipliers.byteLength, 'rate multipliers'));
    gpu.write(this.#multipliers, multipliers);
    if (config.kind === 'sgd') this.#sgdArgs = new DynamicArgs(gpu, sgdShader, sgdArgs({ rate: 0 }));
    else this.#adamArgs = new DynamicArgs(gpu, adamShader, adamArgs({ rate: 0, step: 1 }));
  }

  /** Records the update of all weights by `gradients`, both as long as the arena, under `mask` (bits). */
  record(builder: Builder, gradients: BufferSlice, mask: BufferSlice): void {
    const { config } = this;
    const elements = this.#store.elements('weights');
    const ranges = arenaRanges(elements, this.#store.gpu.capabilities.maxBindingBytes);
    const floats = (slice: BufferSlice, range: ArenaRange, label: string) =>
      builder.persistent(arenaSlice(slice, range), [range.elements], 'f32', label);
    const bits = (slice: BufferSlice, range: ArenaRange, kind: 'mask' | 'segments') =>
      builder.persistent(arenaSlice(slice, range, kind), [companionLength(range.elements, kind)], 'u32', kind);
    let norm: Value<'f32'> | undefined;
    if (config.clipNorm !== undefined) {
      norm = builder.tensor([1], 'f32', 'gradient norm');
      globalNorm(builder, {
        norm,
        ranges: ranges.map((range) => ({
          gradients: floats(gradients, range, 'gradients'),
          mask: bits(mask, range, 'mask'),
          segments: bits(this.#segments, range, 'segments'),
        })),
      });
    }
    const multipliers = builder.persistent(this.#multipliers, [RATE_GROUPS], 'f32', 'rate multipliers');
    for (const range of ranges) {
      const operands = {
        weights: floats(this.#store.arena('weights'), range, 'weights'),
        gradients: floats(gradients, range, 'gradients'),
        mask: bits(mask, range, 'mask'),
        segments: bits(this.#segments, range, 'segments'),
        multipliers,
        ...(norm && { norm }),
      };
      const moment = (name: string) => floats(this.moments.get(name) as BufferSlice, range, name);
      if (config.kind === 'sgd') {
        sgd(builder, {
          ...operands,
          momentum: moment('momentum'),
          nesterov: config.nesterov,
          args: (this.#sgdArgs as DynamicArgs<typeof sgdShader>).slice,
        });
      } else {
        adam(builder, {
          ...operands,
          moment1: moment('moment1'),
          moment2: moment('moment2'),
          decoupled: config.kind === 'adamw',
          args: (this.#adamArgs as DynamicArgs<typeof adamShader>).slice,
        });
      }
    }
  }

  /** Sets the arguments of the step that is queued next. Steps count from 0. */
  prepare(step: number, rate: number): void {
    const { config } = this;
    const common = { rate, decay: config.weightDecay, maxNorm: config.clipNorm ?? 0 };
    if (config.kind === 'sgd') this.#sgdArgs?.write(sgdArgs({ ...common, momentum: config.momentum }));
    else {
      const { beta1, beta2, epsilon } = config;
      this.#adamArgs?.write(adamArgs({ ...common, step: step + 1, beta1, beta2, epsilon }));
    }
  }

  dispose(): void {
    const { buffers } = this.#store.gpu;
    buffers.destroy(this.#segments.buffer);
    buffers.destroy(this.#multipliers.buffer);
    this.#sgdArgs?.dispose();
    this.#adamArgs?.dispose();
  }
}
