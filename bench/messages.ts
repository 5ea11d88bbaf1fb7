/** What a suite that `all.ts` started tells it while it runs. Where nothing started it, nobody listens. */
import type { PackedReport, PackedRow } from './packed/report.ts';
import type { Report } from './report.ts';
import type { CaseResult } from './suite.ts';

export type SuiteMessage =
  /** Once, when the adapter is open: the report without a case, and what is missing. */
  | { kind: 'begins'; report: Report | PackedReport; total: number; missing: string[] }
  | { kind: 'case'; result: CaseResult | PackedRow }
  | { kind: 'ends'; report: Report | PackedReport };

/** Resolves when the message is handed over: a process that exits right away would lose it. */
export function tell(message: SuiteMessage): Promise<void> {
  if (!process.send) return Promise.resolve();
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}
