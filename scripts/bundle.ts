/**
 * Prints what a page downloads of the runtime, by the kind of its network, against scripts/bundle-budget.json.
 *
 * Usage: npm run bundle
 */
import { bundleWith, readBudget } from './bundleSizes.ts';

const kilo = (bytes: number) => (bytes / 1000).toFixed(1).padStart(6);

console.log('network                          gzip kB  budget  minified kB');
for (const [network, { parts, gzip: most }] of Object.entries(readBudget())) {
  const { bytes, gzip } = await bundleWith(parts);
  const mark = gzip > most ? '  over' : '';
  console.log(`${network.padEnd(32)} ${kilo(gzip)}  ${kilo(most)}       ${kilo(bytes)}${mark}`);
  if (gzip > most) process.exitCode = 1;
}
