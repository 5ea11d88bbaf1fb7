/** What a page does: open its adapter, fetch a compressed file, run it. onnxruntime computes the same network. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { fetchModel, InputError, loadModel, NoAdapterError, openWebGpu } from '../../src/web.ts';
import { CLASSES, SIDE, tinyGraph } from '../cli/fixture.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';

const file = () => deployToBytes(tinyGraph(), 'float32', { classNames: ['a', 'b', 'c'] });
const pixels = (count: number) => Float32Array.from({ length: count * SIDE * SIDE }, (_, i) => Math.sin(i));

afterEach(() => vi.unstubAllGlobals());

describe('the runtime', () => {
  it.each([1, 5])('gives the outputs of the network in onnxruntime, %i at a time', async (batch) => {
    const x = pixels(batch);
    const expected = await runOnnxruntime(exportOnnx(tinyGraph()), { image: floatTensor([batch, 1, SIDE, SIDE], x) });
    const { model, meta } = await loadModel(await testGpu(), file(), { batch });
    try {
      expect(meta.classNames).toEqual(['a', 'b', 'c']);
      expect(model.inputs).toEqual([{ name: 'image', shape: [batch, 1, SIDE, SIDE] }]);
      const logits = (await model.run(new Map([['image', x]]))).get('logits')!;
      expect(logits).toHaveLength(batch * CLASSES);
      const oracle = expected.logits!.data as Float32Array;
      for (const [i, value] of logits.entries()) expect(value).toBeCloseTo(oracle[i]!, 4);
    } finally {
      model.dispose();
    }
  });

  it('fetches a file by its address', async () => {
    const url = `data:application/octet-stream;base64,${Buffer.from(file()).toString('base64')}`;
    const { model } = await fetchModel(await testGpu(), url);
    expect(model.outputs).toEqual([{ name: 'logits', shape: [1, CLASSES] }]);
    model.dispose();
  });

  it('says what is wrong with a file or its address', async () => {
    const gpu = await testGpu();
    const cut = file().slice(0, -3);
    await expect(loadModel(gpu, cut, { fileName: 'cut.wgslim' })).rejects.toThrow(InputError);
    await expect(loadModel(gpu, cut, { fileName: 'cut.wgslim' })).rejects.toThrow('cut.wgslim');
    vi.stubGlobal('fetch', async () => new Response('', { status: 404, statusText: 'Not Found' }));
    await expect(fetchModel(gpu, 'https://example.org/none.wgslim')).rejects.toThrow('404 Not Found');
  });

  it('says so where the browser has no WebGPU, or no adapter', async () => {
    vi.stubGlobal('navigator', {});
    await expect(openWebGpu()).rejects.toThrow(NoAdapterError);
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
    await expect(openWebGpu()).rejects.toThrow(NoAdapterError);
  });
});
