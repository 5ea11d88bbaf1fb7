/** What the command line does with a compressed file, held against onnxruntime on the same network. */
import { describe, expect, it } from 'vitest';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { loadModel } from '../../src/runtime/model.ts';
import { CLASSES, SIDE, tinyGraph } from '../cli/fixture.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';

const file = () => deployToBytes(tinyGraph(), 'float32', { classNames: ['a', 'b', 'c'] });
const pixels = (count: number) => Float32Array.from({ length: count * SIDE * SIDE }, (_, i) => Math.sin(i));

describe('loadModel', () => {
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

  it('says what is wrong with a file', async () => {
    const gpu = await testGpu();
    const cut = file().slice(0, -3);
    await expect(loadModel(gpu, cut, { fileName: 'cut.wgslim' })).rejects.toThrow(InputError);
    await expect(loadModel(gpu, cut, { fileName: 'cut.wgslim' })).rejects.toThrow('cut.wgslim');
  });
});
