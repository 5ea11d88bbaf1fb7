/** The page: one network at a time, run on what is drawn, dropped, pasted or chosen. */
// In a project of your own: from 'wgslim/web'.
import { type ImageSource, load, type Model } from '../../../src/web.ts';
import { element } from '../../web-common/element.ts';
import { bytesText, errorText, millisecondsText, NO_WEBGPU } from '../../web-common/text.ts';
import { createPad } from './pad.ts';
import { clearAnswer, showAnswer, shown, softmax } from './view.ts';

/** models/index.json, which `make-models.ts` writes. */
interface ModelList {
  models: { file: string; title: string; about: string; bytes: number }[];
  /** Digits of the test set, 28 × 28 bytes each, base64. */
  samples: string[];
}

let model: Model | undefined;
/** What the network is run on; a drawing is centred first. */
let current: ImageSource | 'drawing' | undefined;
let opening: AbortController | undefined;

const pad = createPad(element('pad'), () => {
  current = 'drawing';
  requestRun();
});

function say(error: unknown): void {
  element('message').textContent = error === undefined ? '' : errorText(error);
}

/** At most one run at a time; strokes that come meanwhile are one more run in the end. */
let running = false;
let again = false;
function requestRun(): void {
  again = true;
  if (running) return;
  running = true;
  void (async () => {
    while (again) {
      again = false;
      await runOnce().catch(say);
    }
    running = false;
  })();
}

async function runOnce(): Promise<void> {
  const active = model;
  if (!active || !current || (current === 'drawing' && pad.isEmpty)) return;
  const image = current === 'drawing' ? pad.centred() : current;
  const started = performance.now();
  const outputs = await active.run(image);
  const took = performance.now() - started;
  if (active !== model) return;
  const logits = outputs[active.outputs[0]?.name ?? ''] as Float32Array;
  showAnswer(shown(softmax(logits), active.meta.classNames ?? []));
  element('time').textContent = millisecondsText(took);
  element('memory').textContent = bytesText(active.memory().weights);
  say(undefined);
}

/** Loads a network in the place of the one at hand. */
async function open(source: string | File, about: string): Promise<void> {
  opening?.abort();
  const controller = new AbortController();
  opening = controller;
  element('about').textContent = 'Loading …';
  let next: Model | undefined;
  try {
    next = await load(source, {
      signal: controller.signal,
      onProgress: ({ loaded }) => {
        element('bytes').textContent = bytesText(loaded);
      },
    });
    // Compiles the shaders, so that the times shown are those of the network.
    await next.run(pad.centred());
    controller.signal.throwIfAborted();
    model?.dispose();
    model = next;
    element('about').textContent = about;
    element('memory').textContent = bytesText(next.memory().weights);
    say(undefined);
    clearAnswer();
    requestRun();
  } catch (error) {
    if (next !== model) next?.dispose();
    if (controller.signal.aborted) return;
    element('about').textContent = '';
    say(error);
  }
}

async function openImage(file: Blob): Promise<void> {
  try {
    const bitmap = await createImageBitmap(file);
    const ready = model?.inputs[0]?.shape[1] === 1 ? onBlack(bitmap) : bitmap;
    pad.show(ready, ready.width, ready.height);
    current = ready;
    requestRun();
  } catch {
    say(new Error('This file is no image that the browser can open.'));
  }
}

/** Digits on paper are dark on bright; the network knows them the other way round. */
function onBlack(bitmap: ImageBitmap): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i] as number;
  if (sum > (127 * data.length) / 4) {
    context.globalCompositeOperation = 'difference';
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

function addSample(base64: string, index: number): void {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 28;
  const image = new ImageData(28, 28);
  for (const [i, value] of bytes.entries()) image.data.set([value, value, value, 255], 4 * i);
  (canvas.getContext('2d') as CanvasRenderingContext2D).putImageData(image, 0, 0);
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-label', `Example ${index + 1}`);
  button.append(canvas);
  button.addEventListener('click', () => {
    pad.show(canvas, 28, 28);
    current = canvas;
    requestRun();
  });
  element('samples').append(button);
}

function addChoice({ file, title, about, bytes }: ModelList['models'][number], isFirst: boolean): void {
  const label = document.createElement('label');
  label.className = 'choice';
  const radio = document.createElement('input');
  radio.type = 'radio';
  radio.name = 'model';
  radio.checked = isFirst;
  radio.addEventListener('change', () => void open(`models/${file}`, about));
  const text = document.createElement('span');
  const size = document.createElement('span');
  size.className = 'quiet';
  size.textContent = bytesText(bytes);
  text.append(title, size);
  label.append(radio, text);
  element('choices').append(label);
  if (isFirst) void open(`models/${file}`, about);
}

function listen(): void {
  element('clear').addEventListener('click', () => {
    pad.clear();
    current = undefined;
    clearAnswer();
  });
  element<HTMLInputElement>('image').addEventListener('change', (event) => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file) void openImage(file);
  });
  element<HTMLInputElement>('own').addEventListener('change', (event) => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file) void open(file, file.name);
  });
  addEventListener('paste', (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) void openImage(file);
  });
  const drop = element('drop');
  addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  addEventListener('dragleave', () => drop.classList.remove('over'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    if (/\.(wgslim|safetensors)$/.test(file.name)) void open(file, file.name);
    else void openImage(file);
  });
}

async function start(): Promise<void> {
  if (!navigator.gpu) {
    element('message').textContent = NO_WEBGPU;
    element('page').hidden = true;
    return;
  }
  listen();
  const answer = await fetch('models/index.json');
  if (!answer.ok) throw new Error('The networks are missing: make them with examples/web-classify/make-models.ts.');
  const { models, samples } = (await answer.json()) as ModelList;
  for (const [i, entry] of models.entries()) addChoice(entry, i === 0);
  for (const [i, sample] of samples.entries()) addSample(sample, i);
}

start().catch(say);
