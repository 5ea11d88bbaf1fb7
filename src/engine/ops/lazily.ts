import type { ForwardContext, Operator } from '../operator.ts';

/** Forward passes by operator. */
export type Forwards = Readonly<Record<string, (context: ForwardContext) => void>>;

/**
 * Operators that most compressed networks do without: their forward passes, with the kernels and shaders of these, are a
 * module that is fetched when a network has one of them. `loadOperators` sees to it before a plan is recorded.
 */
export function lazily(
  load: () => Promise<{ forwards: Forwards }>,
  operators: readonly Omit<Operator, 'forward' | 'load'>[],
): Operator[] {
  let forwards: Forwards | undefined;
  return operators.map((operator) => ({
    ...operator,
    async load() {
      forwards ??= (await load()).forwards;
    },
    forward(context) {
      const forward = forwards?.[operator.op];
      if (!forward) throw new Error(`${operator.op} is not there yet: loadOperators must come first`);
      forward(context);
    },
  }));
}
