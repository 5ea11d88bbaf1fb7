/**
 * Which storage arrays neighbouring invocations read or write far apart: the index as a linear form of the invocation's
 * number, followed through `let` and loops of the entry. What cannot be proven (calls, divisions by lanes, indices that
 * are loaded) is left out, so that a finding is one.
 */
import { loadReflection, withoutDirectives } from './shaderFile.ts';

export interface StridedAccess {
  array: string;
  line: number;
  /** Elements between two neighbouring invocations; undefined where that is only known when the shader runs. */
  stride: number | undefined;
}

/** Growth of a value from one invocation to the next: a number, some factor that is not known, or nothing is known. */
type Growth = number | 'factor' | undefined;

interface AstNode {
  line: number;
  name?: string;
  operator?: string;
  left?: AstNode;
  right?: AstNode;
  value?: unknown;
  variable?: AstNode;
  index?: AstNode;
  postfix?: AstNode | null;
  args?: (AstNode & { attributes?: { name: string; value: string }[] | null })[] | null;
  attributes?: { name: string; value: string }[] | null;
  body?: AstNode[];
  astNodeType: string;
}

/** @param arrays names of the storage bindings that are runtime-sized arrays */
export async function stridedAccesses(
  code: string,
  entry: string,
  { workgroupSize, arrays }: { workgroupSize: readonly number[]; arrays: ReadonlySet<string> },
): Promise<StridedAccess[]> {
  const { WgslParser } = await loadReflection();
  const module = new WgslParser().parse(withoutDirectives(code)) as unknown as AstNode[];
  const main = module.find(({ astNodeType, name }) => astNodeType === 'function' && name === entry);
  if (!main) return [];
  // Neighbours differ in the first dimension that is longer than 1.
  const lane = 'xyz'[
    Math.max(
      0,
      workgroupSize.findIndex((length) => length > 1),
    )
  ]!;
  const walk = new Walk(module, main, lane);
  const found = new Map<string, StridedAccess>();
  visit(main.body, (node) => {
    if (node.name === undefined || !arrays.has(node.name)) return;
    let index = node.postfix;
    while (index && index.index === undefined) index = index.postfix;
    const growth = index?.index ? walk.growth(index.index) : undefined;
    if (growth === undefined || (growth !== 'factor' && Math.abs(growth) <= 1)) return;
    const stride = growth === 'factor' ? undefined : growth;
    found.set(`${node.name} ${node.line}`, { array: node.name, line: node.line, stride });
  });
  return [...found.values()];
}

/** Names of the entry and how they grow. */
class Walk {
  readonly #lane: string;
  readonly #growth = new Map<string, Growth>();
  readonly #constants = new Map<string, number>();
  /** Arguments that are vectors with one component per dimension. */
  readonly #lanes = new Set<string>();

  constructor(module: readonly AstNode[], main: AstNode, lane: string) {
    this.#lane = lane;
    for (const { astNodeType, name, value } of module) {
      if (name === undefined || astNodeType === 'function') continue;
      this.#growth.set(name, 0);
      const constant = astNodeType === 'const' ? this.#constant(value as AstNode | null) : undefined;
      if (constant !== undefined) this.#constants.set(name, constant);
    }
    for (const { name, attributes } of main.args ?? []) {
      const builtin = attributes?.find((attribute) => attribute.name === 'builtin')?.value;
      if (builtin === 'global_invocation_id' || builtin === 'local_invocation_id') this.#lanes.add(name!);
      const isLane = builtin === 'local_invocation_index' || builtin === 'subgroup_invocation_id';
      const isUniform = builtin === 'workgroup_id' || builtin === 'num_workgroups' || builtin === 'subgroup_size';
      this.#growth.set(name!, isLane ? 1 : isUniform ? 0 : undefined);
    }
    visit(main.body, (node) => {
      const isNew = node.astNodeType === 'let' || node.astNodeType === 'var' || node.astNodeType === 'const';
      if (isNew) {
        const value = node.value as AstNode | null;
        // Two of one name in different blocks: what is not the same for both is not known.
        const growth = value ? this.growth(value) : 0;
        const isSame = !this.#growth.has(node.name!) || this.#growth.get(node.name!) === growth;
        this.#growth.set(node.name!, isSame ? growth : undefined);
        const constant = node.astNodeType === 'var' ? undefined : this.#constant(value);
        if (constant === undefined || !isSame) this.#constants.delete(node.name!);
        else this.#constants.set(node.name!, constant);
      } else if (node.astNodeType === 'assign' || node.astNodeType === 'increment') {
        const target = node.variable?.name;
        if (target === undefined || node.variable?.postfix) return;
        const step = node.value ? this.growth(node.value as AstNode) : 0;
        const keeps =
          step === 0 && node.operator !== '=' ? node.operator === '+=' || node.operator === '-=' || !node.value : false;
        if (!keeps && this.#growth.get(target) !== step) this.#growth.set(target, undefined);
        this.#constants.delete(target);
      }
    });
  }

  growth(node: AstNode): Growth {
    if (node.left && node.right) return this.#binary(node.operator ?? '', node.left, node.right);
    if (node.astNodeType === 'literalExpr') return 0;
    if (node.astNodeType === 'unaryOp') {
      const growth = this.growth(node.right!);
      return node.operator === '-' && typeof growth === 'number' ? -growth : growth === 0 ? 0 : undefined;
    }
    if (node.args) {
      const args = node.args.map((arg) => this.growth(arg));
      if (args.every((growth) => growth === 0)) return 0;
      const isCast =
        /^(u32|i32)$/.test(node.name ?? '') || /^(u32|i32)$/.test((node as { type?: AstNode }).type?.name ?? '');
      return isCast && args.length === 1 ? args[0] : undefined;
    }
    if (node.name !== undefined) {
      const component = node.postfix?.value;
      if (this.#lanes.has(node.name)) {
        return typeof component !== 'string' || component.length !== 1 ? undefined : component === this.#lane ? 1 : 0;
      }
      const growth = this.#growth.get(node.name);
      // Part of something that is the same for all is the same for all, if its index is.
      for (let part = node.postfix; part; part = part.postfix) {
        if (part.index && this.growth(part.index) !== 0) return undefined;
        if (growth !== 0) return undefined;
      }
      return growth;
    }
    return undefined;
  }

  #binary(operator: string, left: AstNode, right: AstNode): Growth {
    const [a, b] = [this.growth(left), this.growth(right)];
    if (a === undefined || b === undefined) return undefined;
    if (a === 0 && b === 0) return 0;
    if (operator === '+' || operator === '-') {
      if (a === 'factor' || b === 'factor') return a === 0 || b === 0 ? 'factor' : undefined;
      return operator === '+' ? a + b : a - b;
    }
    const times = (growth: Growth, factor: number | undefined): Growth =>
      growth === 'factor' || factor === undefined ? 'factor' : growth! * factor;
    if (operator === '*') {
      if (b === 0) return times(a, this.#constant(right));
      return a === 0 ? times(b, this.#constant(left)) : undefined;
    }
    const shift = operator === '<<' && b === 0 ? this.#constant(right) : undefined;
    return shift === undefined ? undefined : times(a, 2 ** shift);
  }

  #constant(node: AstNode | null): number | undefined {
    if (!node) return undefined;
    if (node.astNodeType === 'literalExpr') {
      const data = (node.value as { data?: ArrayLike<number> } | undefined)?.data;
      return data ? Number(data[0]) : undefined;
    }
    return node.name !== undefined && !node.postfix ? this.#constants.get(node.name) : undefined;
  }
}

/** Every node below, statements before those that follow them. */
function visit(value: unknown, use: (node: AstNode) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, use);
  } else if (value && typeof value === 'object' && 'line' in value) {
    use(value as AstNode);
    for (const [key, child] of Object.entries(value)) if (key !== 'type') visit(child, use);
  }
}
