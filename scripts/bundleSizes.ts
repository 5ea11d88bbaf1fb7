/** How large `wgslim/web` is for a page: bundled, minified, compressed with gzip. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type Plugin } from 'esbuild';

const entry = fileURLToPath(new URL('../src/web.ts', import.meta.url));

/** Modules that are fetched only where a network, or the page, needs them. */
export type Part =
  | 'convAlternatives'
  | 'matmulDots'
  | 'matmulShallow'
  | 'matmulSmall'
  | 'matmulSubgroup'
  | 'floatLayer'
  | 'denseLayer'
  | 'int8Layer'
  | 'int8ProcessorLayer'
  | 'sparseLayer'
  | 'smallWeights'
  | 'choosePacking'
  | 'fold'
  | 'foldBatchNorm'
  | 'batch'
  | 'movingPasses'
  | 'summingPasses'
  | 'imagePreparer';

export interface Bundle {
  text: string;
  bytes: number;
  gzip: number;
  /** Modules of src/ that something of it comes from. */
  modules: string[];
}

export interface Budget {
  /** What a page with such a network loads, and the most bytes of gzip that it may take. */
  [network: string]: { parts: Part[]; gzip: number };
}

export function readBudget(): Budget {
  return JSON.parse(readFileSync(new URL('bundle-budget.json', import.meta.url), 'utf8'));
}

/** The runtime with these of the parts that are fetched on demand, as one file. */
export async function bundleWith(parts: readonly Part[]): Promise<Bundle> {
  const onDemand: Plugin = {
    name: 'on demand',
    setup(builder) {
      builder.onResolve({ filter: /\.ts$/ }, ({ path, kind }) => {
        const name = path.replace(/^.*\/|\.ts$/g, '');
        if (kind !== 'dynamic-import' || parts.includes(name as Part)) return undefined;
        return { path: `./${name}.js`, external: true };
      });
    },
  };
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
    plugins: [onDemand],
    logLevel: 'silent',
  });
  const { contents, text } = outputFiles[0]!;
  const [output] = Object.values(metafile.outputs);
  const modules = Object.entries(output!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return {
    text,
    bytes: contents.length,
    gzip: gzipSync(contents, { level: 9 }).length,
    modules: modules.map(([path]) => path.replace(/^.*?src\//, '')),
  };
}
