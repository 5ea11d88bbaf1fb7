/**
 * Every benchmark on the adapter at hand, one suite after the other, and one table of all.
 *
 * Usage: npm run bench:all -- [--quick] [--save] [--suites LIST] [--adapter auto|system|swiftshader] [--filter TEXT]
 *        [--peers tfjs,onnxruntime,jax,torch] [--rounds N] [--seconds N] [--json]
 */
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from '../src/cli/flags.ts';
import { createProgress } from '../src/cli/progress.ts';
import { PEERS, type PeerKey } from './adapters.ts';
import { runSuiteProcess } from './all/suiteProcess.ts';
import { renderAbout, renderAll, SHOWN_FORMATS } from './all/table.ts';
import { parsePeers } from './flags.ts';
import type { PackedReport } from './packed/report.ts';
import type { Report } from './report.ts';
import { saveReport } from './save.ts';
import { inDoubt } from './suite.ts';

const SUITES = ['kernels', 'train', 'inference', 'packed'] as const;
type Suite = (typeof SUITES)[number];

/** Longer than a case of the largest network takes on a slow software adapter. */
const PATIENCE_SECONDS = 900;

interface Flags {
  suites: Suite[];
  adapter?: 'auto' | 'system' | 'swiftshader';
  filter: string;
  peers?: PeerKey[];
  rounds?: number;
  seconds?: number;
  quick?: boolean;
  json?: boolean;
  save?: boolean;
}

function parseSuites(text: string): Suite[] {
  const names = text.split(',');
  if (names.some((name) => !(SUITES as readonly string[]).includes(name))) {
    throw new InvalidArgumentError(`It must be a list out of ${SUITES.join(', ')}.`);
  }
  return names as Suite[];
}

function commandOf(suite: Suite, flags: Flags): { script: string; args: string[] } {
  const { quick, rounds = quick ? 3 : 11, seconds = quick ? 1 : 3 } = flags;
  const args = ['--rounds', String(rounds), '--filter', flags.filter];
  if (flags.adapter) args.push('--adapter', flags.adapter);
  const script = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  if (suite === 'packed') {
    if (quick) args.push('--formats', ...SHOWN_FORMATS);
    return { script: script('packed/run.ts'), args };
  }
  args.push('--seconds', String(seconds));
  if (flags.peers) args.push('--peers', flags.peers.join(','));
  return { script: script('run.ts'), args: [suite, ...args] };
}

async function main(flags: Flags): Promise<void> {
  const progress = createProgress({});
  const stopping = new AbortController();
  // What was measured until then is shown; a second one ends this process too.
  process.once('SIGINT', () => stopping.abort());
  const reports: (Report | PackedReport)[] = [];
  const missing = new Set<string>();
  const failures: string[] = [];
  for (const [i, suite] of flags.suites.entries()) {
    if (stopping.signal.aborted) break;
    const label = `${suite} (${i + 1} of ${flags.suites.length})`;
    const outcome = await runSuiteProcess({
      ...commandOf(suite, flags),
      patienceSeconds: PATIENCE_SECONDS,
      onProgress: (done, total) => progress.update({ label, done, total }),
      signal: stopping.signal,
    });
    progress.stop();
    for (const line of outcome.missing) missing.add(line);
    const { report, failure } = outcome;
    if (failure) {
      failures.push(`${suite}: ${failure}`);
      console.error(failures.at(-1));
    }
    if (!report) continue;
    reports.push(report);
    // Half a suite does not replace a whole one.
    if (flags.save) console.error(`wrote ${saveReport(report, failure ? 'partial.json' : 'json')}`);
  }
  for (const report of reports) failures.push(...failuresOf(report));
  if (flags.json) console.log(JSON.stringify({ reports, missing: [...missing], failures }, undefined, 2));
  else {
    if (reports.length > 0) console.log(`\n${renderAbout(reports, [...missing])}\n\n${renderAll(reports)}`);
    if (failures.length > 0) console.log(`\n${failures.join('\n')}`);
  }
  const isDoubtful = reports.some((report) => report.suite !== 'packed' && report.cases.some(inDoubt));
  process.exitCode = reports.length < flags.suites.length || failures.length > 0 || isDoubtful ? 1 : 0;
}

function failuresOf(report: Report | PackedReport): string[] {
  if (report.suite === 'packed') return [];
  return report.cases.flatMap((one) => [
    ...one.failures.map((line) => `${one.name}: ${line}`),
    ...(inDoubt(one) ? [`${one.name}: no peer's result agrees`] : []),
  ]);
}

await new Command('bench:all')
  .description('every benchmark on the adapter at hand, beside WebGPU libraries and PyTorch, in one table')
  .option('--suites <list>', `only these suites (${SUITES.join(', ')})`, parseSuites, [...SUITES])
  .addOption(new Option('--adapter <which>', 'adapter to open').choices(['auto', 'system', 'swiftshader']))
  .option('--filter <text>', 'only cases whose name contains this', '')
  .option('--peers <list>', `only these peers (${PEERS.join(', ')})`, parsePeers)
  .option('--rounds <n>', 'pairs of samples per peer (11; quick: 3)', wholeNumber())
  .option('--seconds <n>', 'time for the pairs of one peer; three are always taken (3; quick: 1)', wholeNumber())
  .option('--quick', 'fewer samples, and of the packed formats only those in the table')
  .option('--json', 'print JSON')
  .option('--save', "keep each suite's JSON in bench/results/")
  .action(main)
  .parseAsync();
