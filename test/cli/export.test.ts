import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { withInitializers } from '../../src/compress/state.ts';
import { InferenceModel } from '../../src/engine/inference.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { writeFileAtomic } from '../../src/format/node.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';
import { relativeError } from '../support/numbers.ts';
import { type Fixture, makeFixture, SIDE, wgslim } from './fixture.ts';

let fixture: Fixture;
let compressed: string;
beforeAll(async () => {
  fixture = await makeFixture();
  const { graph, activations } = quantizeGraph(fixture.graph, {
    weights: { bits: 4, perChannel: true, initial: 'mse' },
    activations: { bits: 8 },
    layers: {},
    skip: [],
  });
  const scales = new Map(activations.map(({ scale }) => [scale, floatTensor([1], [0.01])]));
  compressed = join(fixture.folder, 'tiny.wgslim');
  await writeFileAtomic(compressed, deployToBytes(withInitializers(graph, scales), 'float16', {}));
});
afterAll(() => rm(fixture.folder, { recursive: true }));

describe('export', () => {
  it('writes ONNX that computes what the compressed file does', async () => {
    const out = join(fixture.folder, 'out.onnx');
    const { code, stdout } = await wgslim('export', compressed, '-o', out, '--json');
    expect(code).toBe(0);
    const document = JSON.parse(stdout);
    const onnx = await readFile(out);
    expect(document).toMatchObject({ out, bytes: onnx.length });
    expect(document.layers).toEqual([
      expect.objectContaining({ op: 'Conv', form: 'int4', bits: 4, scales: 'channel', input: 'int8' }),
      expect.objectContaining({ op: 'Gemm', form: 'int4', bits: 4, scales: 'channel', input: 'uint8' }),
    ]);
    const { images, labels } = fixture.test;
    const pixels = Float32Array.from(images, (pixel) => pixel / 255);
    const theirs = await runOnnxruntime(onnx, { image: floatTensor([labels.length, 1, SIDE, SIDE], pixels) });
    const { graph } = decodeModel(await readFile(compressed), { fileName: compressed });
    const model = await InferenceModel.compile(await testGpu(), graph, { batch: labels.length });
    const ours = (await model.run(new Map([['image', pixels]]))).get('logits') as Float32Array;
    expect(relativeError(ours, theirs.logits!.data as Float32Array)).toBeLessThan(1e-4);
    model.dispose();
  });

  it('gives the same bytes again', async () => {
    const outs = [1, 2].map((number) => join(fixture.folder, `again${number}.onnx`));
    for (const out of outs) expect((await wgslim('export', compressed, '-o', out)).code).toBe(0);
    expect(await readFile(outs[0]!)).toEqual(await readFile(outs[1]!));
  });

  it('reads its own files and writes the same bytes again, packed and not', async () => {
    for (const options of [[], ['--packed'], ['--rounded-bias']]) {
      const outs = [1, 2].map((number) => join(fixture.folder, `trip${number}.onnx`));
      const first = await wgslim('export', compressed, ...options, '--output', outs[0]!, '--json');
      expect(first.code).toBe(0);
      const second = await wgslim('export', outs[0]!, ...options, '--out', outs[1]!, '--json');
      expect(second.code).toBe(0);
      expect(await readFile(outs[1]!)).toEqual(await readFile(outs[0]!));
      const dense = JSON.parse(first.stdout).layers[1];
      expect(dense.block).toBe(options[0] === '--packed' ? 256 : undefined);
      expect(JSON.parse(second.stdout).layers[1]).toMatchObject({ form: 'int4', input: 'uint8' });
    }
  });

  it('says what is wrong with its input, and leaves no file', async () => {
    const out = join(fixture.folder, 'none.onnx');
    const { code, stderr } = await wgslim('export', join(fixture.folder, 'missing.wgslim'), '-o', out);
    expect(code).toBe(2);
    expect(stderr).toContain('missing.wgslim');
    await expect(readFile(out)).rejects.toThrow();
    const unnamed = await wgslim('export', compressed);
    expect(unnamed.code).toBe(2);
    expect(unnamed.stderr).toContain('--output');
  });
});
