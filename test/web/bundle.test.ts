/** What a page ships: within its budget, nothing of training in it, and nothing at all where nothing is used. */
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { bundleWith, readBudget } from '../../scripts/bundleSizes.ts';

const budget = readBudget();

describe('the bundle of wgslim/web', () => {
  it.each(Object.entries(budget))('%s: within its budget', async (_, { parts, gzip: most }) => {
    const { gzip } = await bundleWith(parts);
    expect(gzip).toBeLessThanOrEqual(most);
    // A budget that is far away holds nothing.
    expect(gzip).toBeGreaterThan(0.8 * most);
  });

  it('holds no training, no compression, no ONNX and no package', async () => {
    const { modules, text } = await bundleWith(budget.everything!.parts);
    expect(modules).toEqual(expect.arrayContaining(['runtime/load.ts', 'kernels/generated/conv.ts']));
    const TRAINING =
      /^(train|compress|onnx|cli|report)\/|(?<!wino)grad|backward|optimi[sz]er|adam|sgd|loss|mask|node_modules/i;
    expect(modules.filter((path) => TRAINING.test(path))).toEqual([]);
    // Nor a gradient's code in a module that has a forward pass too.
    expect(text).not.toMatch(/inputGradient|outputGradient|backward/);
    // And shaders without their comments.
    expect(text).not.toMatch(/\/\/ (?!# source)[A-Z]/);
  });

  it('comes in parts that are fetched when they are needed', async () => {
    const { modules } = await bundleWith([]);
    const ofParts =
      /conv\.ts|matmul|winograd|depthwise|int8Conv|sparseProduct|denseProduct|resampleImage|stridedCopy|softmax\.ts/;
    expect(modules.filter((path) => /^kernels\//.test(path) && ofParts.test(path))).toEqual([]);
  });

  it('is dropped where it is not used', async () => {
    const { outputFiles } = await build({
      stdin: {
        contents: "import { FetchError } from './src/web.ts'; console.log(FetchError);",
        resolveDir: process.cwd(),
        loader: 'ts',
      },
      bundle: true,
      minify: true,
      format: 'esm',
      write: false,
    });
    expect(outputFiles[0]!.contents.length).toBeLessThan(12_000);
  });
});
