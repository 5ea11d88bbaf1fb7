/** A suite in a process of its own, so that a driver that takes the process down takes no other suite with it. */
import { fork } from 'node:child_process';
import type { SuiteMessage } from '../messages.ts';
import type { PackedReport, PackedRow } from '../packed/report.ts';
import type { Report } from '../report.ts';
import type { CaseResult } from '../suite.ts';

export interface SuiteOutcome {
  /** As far as it came; undefined where not even the adapter opened. */
  report?: Report | PackedReport;
  /** What could not be measured against. */
  missing: string[];
  /** Why it did not come to its end. */
  failure?: string;
}

export interface SuiteProcessOptions {
  script: string;
  args: readonly string[];
  /** It is ended when it says nothing for so long. */
  patienceSeconds: number;
  onProgress(done: number, total: number): void;
  signal?: AbortSignal;
}

export function runSuiteProcess(options: SuiteProcessOptions): Promise<SuiteOutcome> {
  const { script, args, patienceSeconds, onProgress, signal } = options;
  const child = fork(script, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const outcome: SuiteOutcome = { missing: [] };
  let [done, total] = [0, 0];
  let isComplete = false;
  let errors = '';
  const give = (reason: string) => {
    outcome.failure ??= reason;
    child.kill('SIGKILL');
  };
  const onAbort = () => give('interrupted');
  signal?.addEventListener('abort', onAbort, { once: true });
  const patience = setTimeout(() => give(`it said nothing for ${patienceSeconds} s`), 1000 * patienceSeconds);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  child.on('message', (message: SuiteMessage) => {
    patience.refresh();
    if (message.kind === 'begins') {
      outcome.report = message.report;
      outcome.missing = message.missing;
      total = message.total;
      onProgress(0, total);
    } else if (message.kind === 'case') {
      if (outcome.report) add(outcome.report, message.result);
      onProgress(++done, total);
    } else {
      outcome.report = message.report;
      isComplete = true;
    }
  });
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(patience);
      signal?.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    child.on('error', (error) => {
      outcome.failure ??= error.message;
      finish();
    });
    child.on('close', (code, killer) => {
      if (!isComplete) outcome.failure ??= `its process ended (${killer ?? `status ${code}`})${lastError(errors)}`;
      finish();
    });
  });
}

function add(report: Report | PackedReport, result: CaseResult | PackedRow): void {
  if (report.suite === 'packed') report.rows.push(result as PackedRow);
  else report.cases.push(result as CaseResult);
}

/** The line of an uncaught error that has its message; the lines after it are where it came from. */
function lastError(text: string): string {
  const lines = text.trim().split('\n');
  const line = lines.findLast((one) => /^\s*\w*Error\b/.test(one)) ?? lines.at(-1);
  return line ? `: ${line.trim()}` : '';
}
