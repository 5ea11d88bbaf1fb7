import { forwards as gather } from './gatherPasses.ts';
import { forwards as layout } from './layoutPasses.ts';
import type { Forwards } from './lazily.ts';
import { forwards as pad } from './padPasses.ts';

/** Operators that move elements about, as one module to fetch. */
export const forwards: Forwards = { ...layout, ...pad, ...gather };
