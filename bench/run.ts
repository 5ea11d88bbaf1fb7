/**
 * Measures wgslim against other WebGPU libraries on the same adapter, in one process, in turns, and against the
 * machine's PyTorch.
 *
 * Usage: npm run bench -- kernels|products|train|inference [--adapter auto|system|swiftshader] [--filter TEXT]
 *        [--peers tfjs,onnxruntime,jax,torch] [--rounds N] [--seconds N] [--profile] [--json] [--save]
 *        products: [--shapes LIST | --count N --seed N]
 */
import { availableParallelism, loadavg } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { wholeNumber } from '../src/cli/flags.ts';
import { cachedRoof } from '../src/kernels/roofCache.node.ts';
import { openAll, PEERS, type PeerKey } from './adapters.ts';
import { parsePeers } from './flags.ts';
import { inferenceCases } from './inference/suite.ts';
import { kernelCases } from './kernels/suite.ts';
import { tell } from './messages.ts';
import { type ProductShape, parseShapes, randomShapes } from './products/shapes.ts';
import { productCases, renderDistribution } from './products/suite.ts';
import { type Report, renderHeader, renderReport } from './report.ts';
import { saveReport } from './save.ts';
import { type Case, filtered, inDoubt, PEERS_OF, runSuite, type SuiteName } from './suite.ts';
import { trainCases } from './train/suite.ts';

const suites: Record<SuiteName, (flags: Flags) => Promise<Case[]> | Case[]> = {
  kernels: kernelCases,
  products: ({ shapes, count, seed }) => productCases(shapes ?? randomShapes(count, seed)),
  train: trainCases,
  inference: inferenceCases,
};

interface Flags {
  adapter?: 'auto' | 'system' | 'swiftshader';
  filter: string;
  peers?: PeerKey[];
  rounds: number;
  seconds: number;
  shapes?: ProductShape[];
  count: number;
  seed: number;
  profile?: boolean;
  json?: boolean;
  save?: boolean;
}

async function main(suite: SuiteName, flags: Flags): Promise<void> {
  const wanted = PEERS_OF[suite].filter((key) => !flags.peers || flags.peers.includes(key));
  const load = loadavg()[0];
  const opened = await openAll(wanted, flags.adapter);
  const { name, driver, kind } = opened.gpu.capabilities;
  const { roof } = await cachedRoof(opened.gpu);
  const about = {
    suite,
    adapter: { name, driver, kind, source: opened.source },
    versions: opened.versions,
    cores: availableParallelism(),
    roof,
  };
  // Progress goes to stderr, so that --json leaves stdout to the JSON.
  for (const line of opened.missing) console.error(line);
  const wantedCases = filtered(await suites[suite](flags), flags.filter);
  const begins: Report = { ...about, load: [load, load], cases: [] };
  await tell({ kind: 'begins', report: begins, total: wantedCases.length, missing: opened.missing });
  const cases = await runSuite(
    wantedCases,
    opened,
    { ...flags, roof, profile: flags.profile ? 'always' : 'slower' },
    async (result) => {
      await tell({ kind: 'case', result });
      const { name: done, comparisons, failures, profile } = result;
      const ratios = comparisons.map(({ peer, ratio, agrees }) => {
        return `${peer} ${agrees ? `×${ratio.median.toFixed(2)}` : 'differs'}`;
      });
      console.error(`${done}: ${[...ratios, ...failures].join(', ') || 'measured alone'}`);
      if (profile) console.error(profile);
    },
  );
  const report: Report = { ...about, load: [load, loadavg()[0]], cases };
  if (flags.json) console.log(JSON.stringify(report, undefined, 2));
  else {
    console.log(`\n${renderHeader(report)}\n\n${renderReport(report)}`);
    if (suite === 'products') console.log(`\n${renderDistribution(cases)}`);
    for (const { name: failed, failures } of cases) for (const line of failures) console.log(`${failed}: ${line}`);
  }
  if (flags.save) console.error(`wrote ${saveReport(report)}`);
  await tell({ kind: 'ends', report });
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
  .option('--shapes <list>', 'products: these, as 5x955x1765,64:33x64x33 (64 of [33, 64] by [64, 33])', parseShapes)
  .option('--count <n>', 'products: so many shapes at random', wholeNumber(), 60)
  .option('--seed <n>', 'products: which ones', wholeNumber(), 1)
  .option('--profile', 'slowest dispatches of every case, not only of those where a peer is faster')
  .option('--json', 'print JSON')
  .option('--save', 'keep the JSON in bench/results/')
  .action(main)
  .parseAsync();
