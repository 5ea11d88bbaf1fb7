/** A small network, data for it, and a way to run a command line inside the test's process. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommandLine } from '../../src/cli/program.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { sketchGraph } from '../onnx/build.ts';

export const SIDE = 8;
export const CLASSES = 3;

export interface Fixture {
  folder: string;
  /** tiny.onnx: Conv, Relu, Flatten, Gemm; 3 classes of 8 x 8 grey images. */
  model: string;
  /** MNIST's file layout, 90 training and 30 test images. */
  data: string;
  graph: Graph;
  test: { images: Uint8Array; labels: Uint8Array };
}

export async function makeFixture(): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), 'wgslim-cli-'));
  const graph = tinyGraph();
  const model = join(folder, 'tiny.onnx');
  await writeFile(model, exportOnnx(graph));
  const data = join(folder, 'data');
  await mkdir(data);
  const train = makeImages(90, 1);
  const test = makeImages(30, 2);
  await writeIdx(data, 'train', train);
  await writeIdx(data, 't10k', test);
  return { folder, model, data, graph, test };
}

export function tinyGraph(): Graph {
  const next = generator(7);
  const values = (count: number, scale: number) => Float32Array.from({ length: count }, () => scale * (next() - 0.5));
  return sketchGraph({
    inputs: { image: ['N', 1, SIDE, SIDE] },
    outputs: ['logits'],
    initializers: {
      'conv.weight': floatTensor([4, 1, 3, 3], values(36, 1)),
      'conv.bias': floatTensor([4], values(4, 0.1)),
      'dense.weight': floatTensor([CLASSES, 4 * SIDE * SIDE], values(CLASSES * 4 * SIDE * SIDE, 0.3)),
      'dense.bias': floatTensor([CLASSES], values(CLASSES, 0.1)),
    },
    nodes: [
      ['Conv', ['image', 'conv.weight', 'conv.bias'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ['Relu', ['c'], ['r']],
      ['Flatten', ['r'], ['f'], { axis: 1 }],
      ['Gemm', ['f', 'dense.weight', 'dense.bias'], ['logits'], { transB: 1 }],
    ],
  });
}

/** Noise with a bright band: at the top, in the middle or at the bottom, by class. */
function makeImages(count: number, seed: number) {
  const next = generator(seed);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % CLASSES);
  const images = Uint8Array.from({ length: count * SIDE * SIDE }, (_, i) => {
    const row = Math.floor(i / SIDE) % SIDE;
    const label = labels[Math.floor(i / (SIDE * SIDE))]!;
    return Math.floor(100 * next() + (Math.floor(row / 3) === label ? 120 : 0));
  });
  return { images, labels };
}

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function writeIdx(
  folder: string,
  prefix: string,
  { images, labels }: { images: Uint8Array; labels: Uint8Array },
) {
  const header = (...fields: number[]) => {
    const bytes = Buffer.alloc(4 * fields.length);
    for (const [i, field] of fields.entries()) bytes.writeUInt32BE(field, 4 * i);
    return bytes;
  };
  const write = (name: string, head: Buffer, body: Uint8Array) =>
    writeFile(join(folder, `${prefix}-${name}-ubyte`), Buffer.concat([head, body]));
  await write('images-idx3', header(0x803, labels.length, SIDE, SIDE), images);
  await write('labels-idx1', header(0x801, labels.length), labels);
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command line in this process, with what it writes caught. */
export async function wgslim(...args: string[]): Promise<Outcome> {
  const caught = { stdout: '', stderr: '' };
  const restore = (['stdout', 'stderr'] as const).map((name) => {
    const stream = process[name];
    const write = stream.write;
    stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
      caught[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      const done = rest.find((value) => typeof value === 'function') as (() => void) | undefined;
      done?.();
      return true;
    }) as typeof stream.write;
    return () => {
      stream.write = write;
    };
  });
  try {
    return { code: await runCommandLine(args), ...caught };
  } finally {
    for (const undo of restore) undo();
  }
}
