// biome-ignore-all lint/suspicious/noExplicitAny: parsed JSON that is broken on purpose.
const HOSTILE = [
  -1,
  0,
  1,
  2,
  7,
  8,
  9,
  255,
  256,
  0.5,
  1e9,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e300,
  null,
  true,
  '',
  'x',
  '__proto__',
  '-0',
  [],
  {},
  [[]],
  [1e9, 1e9],
  { n: 'nan' },
  { t: 0 },
];

/** Replaces, removes, repeats or moves one random part of parsed JSON, in place. */
export function mutateJson(root: any, random: () => number): void {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  let parent = root;
  let key: any = pick(Object.keys(root));
  while (
    typeof parent[key] === 'object' &&
    parent[key] !== null &&
    Object.keys(parent[key]).length > 0 &&
    random() < 0.9
  ) {
    parent = parent[key];
    key = pick(Object.keys(parent));
  }
  const action = random();
  if (action < 0.55) parent[key] = structuredClone(pick(HOSTILE));
  else if (action < 0.75 && typeof parent[key] === 'number') parent[key] += Math.round(random() * 6 - 3);
  else if (action < 0.85 && Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (action < 0.95 && Array.isArray(parent)) parent.splice(Number(key), 0, structuredClone(pick(parent)));
  else parent[key] = structuredClone(parent[pick(Object.keys(parent))]);
}
