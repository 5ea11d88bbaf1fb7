/** Compresses a network, away from the page's main thread. Everything stays in this worker's memory. */
import { compress } from '../../../src/compress/compress.ts';
import { parseRecipe } from '../../../src/compress/recipe.ts';
import { memoryStorage } from '../../../src/compress/storage.ts';
import { importOnnx } from '../../../src/onnx/import.ts';
import { openWebGpu } from '../../../src/runtime/openGpu.ts';
import { defaultPreprocess } from '../../../src/train/data/preprocess.ts';
import { errorText } from '../../web-common/text.ts';
import { openIdx } from './data.ts';
import type { FromWorker, Start, ToWorker } from './messages.ts';

const scope = self as unknown as {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<ToWorker>) => void): void;
};

let running: AbortController | undefined;

scope.addEventListener('message', ({ data: message }) => {
  if (message.kind === 'stop') running?.abort();
  else void run(message);
});

async function run({ onnx, data, recipe: text }: Start): Promise<void> {
  const controller = new AbortController();
  running = controller;
  try {
    const recipe = parseRecipe(text, 'the settings');
    const graph = importOnnx(onnx.bytes, { fileName: onnx.name });
    const { train, test } = await openIdx(data, recipe.seed);
    const gpu = await openWebGpu();
    try {
      scope.postMessage({ kind: 'data', train: train.size, test: test.size, adapter: gpu.capabilities.name });
      const { file, stages, originalBytes, originalTop1 } = await compress(gpu, {
        graph,
        recipe,
        openData: async ({ split }) => (split === 'test' ? test : train),
        evaluation: test,
        preprocess: defaultPreprocess(),
        storage: memoryStorage(),
        resume: false,
        signal: controller.signal,
        // A page that is closed has nothing to go on with.
        checkpointSeconds: Number.POSITIVE_INFINITY,
        onProgress: (event) => scope.postMessage({ kind: 'progress', event }),
      });
      const bytes = file as Uint8Array<ArrayBuffer>;
      scope.postMessage({ kind: 'done', file: bytes, stages, originalBytes, originalTop1 });
    } finally {
      gpu.destroy();
    }
  } catch (error) {
    if (controller.signal.aborted) scope.postMessage({ kind: 'stopped' });
    else scope.postMessage({ kind: 'failed', message: errorText(error) });
  } finally {
    running = undefined;
  }
}
