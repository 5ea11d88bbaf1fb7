/** A compute program: WGSL whose tunables are settled, and the interface that its pipeline layout is made from. */
export interface Program {
  /** For labels and profiles. */
  readonly name: string;
  readonly code: string;
  /** Values of the module's `override` declarations. */
  readonly overrides: Readonly<Record<string, number>>;
  /** By binding number; `immediate` means that number 0 is no binding: the arguments come with the dispatch. */
  readonly bindings: readonly ('uniform' | 'immediate' | 'read' | 'read_write')[];
  /** Bytes of the immediate arguments, a multiple of 4. */
  readonly immediateBytes?: number;
  /** Name of the @compute function; `main` by default. */
  readonly entry?: string;
}

/** Two programs with one key are the same pipeline. */
export function programKey(program: Program): string {
  const overrides = Object.entries(program.overrides).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${program.name}|${program.entry ?? ''}|${program.immediateBytes ?? ''}|${JSON.stringify(overrides)}|${program.code}`;
}
