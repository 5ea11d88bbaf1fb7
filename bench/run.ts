/**
 * Measures wgslim against other WebGPU libraries on the same adapter, in one process, in turns.
 *
 * Usage: npm run bench -- kernels|train|inference [--adapter auto|system|swiftshader] [--filter TEXT]
 *        [--peers tfjs,onnxruntime,jax] [--rounds N] [--seconds N] [--profile] [--json] [--save]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from '../src/cli/flags.ts';
import { openAll, PEERS, type PeerKey } from './adapters.ts';
import { inferenceCases } from './inference/suite.ts';
import { kernelCases } from './kernels/suite.ts';
import { type Report, renderHeader, renderReport } from './report.ts';
import { slug } from './slug.ts';
import { type Case, inDoubt, PEERS_OF, runSuite, type SuiteName } from './suite.ts';
import { trainCases } from './train/suite.ts';

const suites: Record<SuiteName, () => Promise<Case[]> | Case[]> = {
  kernels: kernelCases,
  train: trainCases,
  inference: inferenceCases,
};

interface Flags {
  adapter?: 'auto' | 'system' | 'swiftshader';
  filter: string;
  peers?: PeerKey[];
  rounds: number;
  seconds: number;
  profile?: boolean;
  json?: boolean;
  save?: boolean;
}

function parsePeers(text: string): PeerKey[] {
  const keys = text.split(',');
  const unknown = keys.find((key) => !(PEERS as readonly string[]).includes(key));
  if (unknown !== undefined) throw new InvalidArgumentError(`It must be a list out of ${PEERS.join(', ')}.`);
  return keys as PeerKey[];
}

async function main(suite: SuiteName, flags: Flags): Promise<void> {
  const wanted = PEERS_OF[suite].filter((key) => !flags.peers || flags.peers.includes(key));
  const load = loadavg()[0];
  const opened = await openAll(wanted, flags.adapter);
  const { name, driver, kind } = opened.gpu.capabilities;
  const about = {
    suite,
    adapter: { name, driver, kind, source: opened.source },
    versions: opened.versions,
    cores: availableParallelism(),
  };
  // Progress goes to stderr, so that --json leaves stdout to the JSON.
  for (const line of opened.missing) console.error(line);
  const cases = await runSuite(
    await suites[suite](),
    opened,
    { ...flags, profile: flags.profile ? 'always' : 'slower' },
    ({ name: done, comparisons, failures, profile }) => {
      const ratios = comparisons.map(({ peer, ratio }) => `${peer} ×${ratio.median.toFixed(2)}`);
      console.error(`${done}: ${[...ratios, ...failures].join(', ') || 'measured alone'}`);
      if (profile) console.error(profile);
    },
  );
  const report: Report = { ...about, load: [load, loadavg()[0]], cases };
  if (flags.json) console.log(JSON.stringify(report, undefined, 2));
  else {
    console.log(`\n${renderHeader(report)}\n\n${renderReport(report)}`);
    for (const { name: failed, failures } of cases) for (const line of failures) console.log(`${failed}: ${line}`);
  }
  if (flags.save) {
    const folder = new URL('results/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    const file = new URL(`${slug(name)}-${suite}.json`, folder);
    writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
    console.error(`wrote ${fileURLToPath(file)}`);
  }
  // Peers keep their devices open, and an open device keeps Node running.
  process.exit(cases.some(inDoubt) ? 1 : 0);
}

await new Command('bench')
  .description('wgslim against other WebGPU libraries, on one adapter and in turns')
  .addArgument(new Argument('<suite>', 'what to measure').choices(Object.keys(suites)))
  .addOption(new Option('--adapter <which>', 'adapter to open').choices(['auto', 'system', 'swiftshader']))
  .option('--filter <text>', 'only cases whose name contains this', '')
  .option('--peers <list>', `only these peers (${PEERS.join(', ')})`, parsePeers)
  .option('--rounds <n>', 'pairs of samples per peer', wholeNumber(), 11)
  .option('--seconds <n>', 'time for the pairs of one peer; three are always taken', wholeNumber(), 5)
  .option('--profile', 'slowest dispatches of every case, not only of those where a peer is faster')
  .option('--json', 'print JSON')
  .option('--save', 'keep the JSON in bench/results/')
  .action(main)
  .parseAsync();
