/** The page: gathers files and settings, starts the worker, shows how far it is, and hands the small file over. */
import { element } from '../../web-common/element.ts';
import { bytesText, errorText, NO_WEBGPU } from '../../web-common/text.ts';
import type { FromWorker, NamedBytes, ToWorker } from './messages.ts';
import { recipeOf } from './settings.ts';
import { showProgress, showResult } from './view.ts';

const NETWORK = 'data/lenet5.onnx';
const IMAGES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
];

let worker: Worker | undefined;
let download: string | undefined;

const say = (text: string) => {
  element('message').textContent = text;
};
const input = (id: string) => element<HTMLInputElement>(id);
const choice = (name: string) => document.querySelector<HTMLInputElement>(`[name=${name}]:checked`)?.value;

function setRunning(running: boolean): void {
  element<HTMLButtonElement>('start').disabled = running;
  element<HTMLButtonElement>('stop').disabled = !running;
  element<HTMLFieldSetElement>('settings').disabled = running;
  if (running) element('run').hidden = false;
}

async function fetched(path: string): Promise<NamedBytes> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} is missing: make it with examples/web-compress/make-data.ts.`);
  return { name: path.split('/').at(-1) as string, bytes: new Uint8Array(await answer.arrayBuffer()) };
}

async function chosen(id: string): Promise<NamedBytes[]> {
  const files = [...(input(id).files ?? [])];
  return Promise.all(files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
}

async function start(): Promise<void> {
  say('');
  element('result').hidden = true;
  setRunning(true);
  element('stage').textContent = 'Getting ready …';
  try {
    const own = choice('network') === 'own' ? await chosen('onnx') : [await fetched(NETWORK)];
    if (!own[0]) throw new Error('Choose an ONNX file, or take LeNet-5.');
    const isOwnData = choice('data') === 'own';
    const data = isOwnData ? await chosen('idx') : await Promise.all(IMAGES.map((name) => fetched(`data/${name}`)));
    if (data.length === 0) throw new Error('Choose the IDX files of images and labels, or take the MNIST sample.');
    const recipe = recipeOf({
      sparsity: Number(input('sparsity').value),
      bits: Number(choice('bits')),
      epochs: Number(input('epochs').value),
    });
    send({ kind: 'start', onnx: own[0], data, recipe });
  } catch (error) {
    fail(errorText(error));
  }
}

function send(message: ToWorker): void {
  if (!worker) {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => receive(data));
    worker.addEventListener('error', ({ message }) => fail(`The worker failed: ${message}`));
  }
  worker.postMessage(message);
}

function fail(message: string): void {
  setRunning(false);
  element('run').hidden = true;
  say(message);
}

function receive(message: FromWorker): void {
  switch (message.kind) {
    case 'data':
      element('facts').textContent =
        `${message.train.toLocaleString('en')} images to train on, ${message.test.toLocaleString('en')} to measure with; on ${message.adapter}.`;
      return;
    case 'progress':
      showProgress(message.event);
      return;
    case 'done': {
      setRunning(false);
      element('run').hidden = true;
      showResult(message.stages, { bytes: message.originalBytes, top1: message.originalTop1 });
      if (download) URL.revokeObjectURL(download);
      download = URL.createObjectURL(new Blob([message.file]));
      const link = element<HTMLAnchorElement>('download');
      link.href = download;
      link.textContent = `Download the small file, ${bytesText(message.file.length)}`;
      element('result').hidden = false;
      element('result-title').focus();
      return;
    }
    case 'stopped':
      fail('Stopped. Nothing was kept.');
      return;
    case 'failed':
      fail(message.message);
  }
}

function listen(): void {
  element<HTMLFormElement>('form').addEventListener('submit', (event) => {
    event.preventDefault();
    void start();
  });
  element('stop').addEventListener('click', () => send({ kind: 'stop' }));
  for (const [file, radio] of [
    ['onnx', 'network-own'],
    ['idx', 'data-own'],
  ] as const) {
    input(file).addEventListener('change', () => {
      input(radio).checked = true;
      const names = [...(input(file).files ?? [])].map(({ name }) => name).join(', ');
      element(`${file}-names`).textContent = names;
    });
  }
  const show = () => {
    element('sparsity-value').textContent = `${input('sparsity').value} %`;
  };
  input('sparsity').addEventListener('input', show);
  show();
}

if (navigator.gpu) listen();
else {
  say(NO_WEBGPU);
  element('form').hidden = true;
}
