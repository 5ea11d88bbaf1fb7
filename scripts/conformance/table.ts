import type { CaseResult } from './runTests.ts';

/** Counts per operator, then every failure and every skip with its reason. */
export function formatResults(results: readonly CaseResult[]): string {
  const groups = groupBy(results, ({ operator }) => operator);
  const count = (cases: readonly CaseResult[], status: CaseResult['status']): number =>
    cases.filter((result) => result.status === status).length;
  const rows = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([operator, cases]) => [
      operator,
      ...(['pass', 'fail', 'skip'] as const).map((status) => String(count(cases, status))),
      String(cases.filter(({ folded }) => folded).length || ''),
    ]);
  const lines = columns([['operator', 'pass', 'fail', 'skip', 'of which folded'], ...rows]);
  for (const status of ['fail', 'skip'] as const) {
    const cases = results.filter((result) => result.status === status);
    if (cases.length > 0) lines.push('', `${status === 'fail' ? 'Failures' : 'Skips'}:`);
    for (const { name, reason = '' } of cases) lines.push(`  ${name}: ${reason.replace(`${name}: `, '')}`);
  }
  lines.push(
    '',
    `${count(results, 'pass')} passed, ${count(results, 'fail')} failed, ${count(results, 'skip')} skipped`,
  );
  return lines.join('\n');
}

/** Map.groupBy came with Node 21. */
function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]! + 2)))
      .join('')
      .trimEnd(),
  );
}
