/** What `wgsl_reflect` knows of a module's named types. */
interface Types {
  aliases: readonly { name: string; type: { getTypeName(): string } }[];
  structs: readonly { name: string; size: number }[];
}

/** Bytes of all `var<workgroup>`; sizes are constants and overrides, which the settled text has as numbers. */
export function workgroupBytes(settled: string, reflected: Types): number {
  const code = settled.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  const named = new Map<string, number>();
  for (const [, name, value] of code.matchAll(/\b(?:const|override)\s+(\w+)\s*(?::\s*\w+)?\s*=\s*([^;]+);/g)) {
    const number = evaluate(value!, named);
    if (number !== undefined) named.set(name!, number);
  }
  let total = 0;
  for (const [, type] of code.matchAll(/\bvar\s*<\s*workgroup\s*>\s*\w+\s*:\s*([^;]+);/g)) {
    total += bytesOf(type!, named, reflected) ?? 0;
  }
  return total;
}

function bytesOf(text: string, named: ReadonlyMap<string, number>, reflected: Types): number | undefined {
  const type = text.replace(/\s/g, '');
  const array = /^array<(.+),([^,<>]+)>$/.exec(type);
  if (array) {
    const [one, count] = [bytesOf(array[1]!, named, reflected), evaluate(array[2]!, named)];
    if (one === undefined || count === undefined) return undefined;
    const size = /^vec3/.test(array[1]!) ? 4 * Math.ceil(one / 3) : one;
    return size * count;
  }
  const atomic = /^atomic<(\w+)>$/.exec(type);
  if (atomic || /^(f32|u32|i32)$/.test(type)) return 4;
  if (type === 'f16') return 2;
  const vector = /^(?:vec([234])|mat([234])x([234]))(?:<(\w+)>|([fhui]))$/.exec(type);
  if (vector) {
    const size = vector[4] === 'f16' || vector[5] === 'h' ? 2 : 4;
    const rows = Number(vector[1] ?? vector[3]);
    return vector[1] ? rows * size : Number(vector[2]) * (rows === 3 ? 4 : rows) * size;
  }
  const alias = reflected.aliases.find(({ name }) => name === type);
  if (alias) return bytesOf(alias.type.getTypeName(), named, reflected);
  return reflected.structs.find(({ name }) => name === type)?.size;
}

/** Sums and products of numbers and names; undefined for anything else. */
function evaluate(text: string, named: ReadonlyMap<string, number>): number | undefined {
  const tokens = text.replace(/\s/g, '').match(/\d+[ui]?|\w+|[-+*/()]/g);
  if (!tokens || tokens.join('') !== text.replace(/\s/g, '')) return undefined;
  let at = 0;
  const factor = (): number => {
    const token = tokens[at++];
    if (token === '(') {
      const value = sum();
      at++;
      return value;
    }
    if (token !== undefined && /^\d/.test(token)) return Number.parseInt(token, 10);
    return named.get(token ?? '') ?? Number.NaN;
  };
  const product = (): number => {
    let value = factor();
    while (tokens[at] === '*' || tokens[at] === '/') {
      value = tokens[at++] === '*' ? value * factor() : Math.floor(value / factor());
    }
    return value;
  };
  function sum(): number {
    let value = product();
    while (tokens![at] === '+' || tokens![at] === '-') value += tokens![at++] === '+' ? product() : -product();
    return value;
  }
  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? value : undefined;
}
