/** The machine's own PyTorch as a contender: `torch_peer.py` makes, times and checks what is described to it here. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elementsOf } from '../../src/engine/value.ts';
import type { Attribute, Graph, Node, Tensor } from '../../src/graph/types.ts';
import type { Contender } from '../contender.ts';
import { TorchProcess, type TorchProcessOptions } from './torchProcess.ts';

export const TORCH = 'PyTorch';

/** A running PyTorch. */
export interface Torch {
  readonly peer: TorchProcess;
  /** Version and device, as the tables name them. */
  readonly version: string;
}

export async function openTorch(options: TorchProcessOptions = {}): Promise<Torch> {
  const peer = await TorchProcess.start(options);
  const { version, device, name } = peer.about;
  const precision = device === 'cuda' ? 'float32 without TF32' : 'float32';
  return { peer, version: `${version} on ${device} (${name}), eager, ${precision}` };
}

/** A tensor that lies on the device before anything is timed. */
export interface TorchTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** What is described to the other side, but for the tensors' data. */
interface Description {
  kind: 'kernel' | 'inference' | 'train';
  nodes: readonly Pick<Node, 'op' | 'inputs' | 'outputs' | 'attributes'>[];
  output: string;
  /** The value that is uploaded in every run. */
  input?: string;
  /** Tensors of integers: shapes, axes, paddings. */
  constants?: Readonly<Record<string, readonly number[]>>;
  labels?: readonly number[];
  rate?: number;
  momentum?: number;
  /** Steps of a run, and steps whose losses are the result. */
  block?: number;
  checked?: number;
}

/** One operator: its inputs lie on the device, its result is read back. */
export function torchKernel(
  torch: Torch,
  op: string,
  inputs: readonly TorchTensor[],
  attributes: Record<string, Attribute> = {},
): Contender {
  const named = new Map(inputs.map((tensor, i) => [`input${i}`, tensor]));
  const nodes = [{ op, inputs: [...named.keys()], outputs: ['out'], attributes }];
  return torchContender(torch, { kind: 'kernel', nodes, output: 'out' }, named);
}

/** A whole network: its input is uploaded and its output read back in every run. */
export function torchInference(torch: Torch, graph: Graph, input: TorchTensor): Contender {
  const [{ name }] = graph.inputs;
  const { tensors, constants } = initializersOf(graph);
  const description = { kind: 'inference' as const, nodes: graph.nodes, constants, input: name };
  return torchContender(
    torch,
    { ...description, output: graph.outputs[0].name },
    new Map([...tensors, [name, input] as const]),
  );
}

export interface TorchTraining {
  images: TorchTensor;
  labels: readonly number[];
  rate: number;
  momentum: number;
  block: number;
  checked: number;
}

/** Steps of SGD with momentum on one batch that stays on the device. */
export function torchTraining(torch: Torch, graph: Graph, training: TorchTraining): Contender {
  const { images, ...options } = training;
  const [{ name }] = graph.inputs;
  const { tensors, constants } = initializersOf(graph);
  const description = { kind: 'train' as const, nodes: graph.nodes, constants, input: name, ...options };
  return {
    ...torchContender(
      torch,
      { ...description, output: graph.outputs[0].name },
      new Map([...tensors, [name, images] as const]),
    ),
    steps: options.block,
  };
}

function initializersOf({ initializers }: Graph) {
  const tensors = new Map<string, TorchTensor>();
  const constants: Record<string, number[]> = {};
  for (const [name, { dtype, shape, data }] of initializers as Map<string, Tensor>) {
    if (dtype === 'float32') tensors.set(name, { shape, data: data as Float32Array });
    else if (dtype === 'int64') constants[name] = Array.from(data as BigInt64Array, Number);
    else throw new Error(`a tensor of ${dtype} is not sent to ${TORCH}`);
  }
  return { tensors, constants };
}

/** Sent when it is first run, so that what fails is told under its name. */
function torchContender(
  { peer }: Torch,
  description: Description,
  tensors: ReadonlyMap<string, TorchTensor>,
): Contender {
  let isOpen = false;
  return {
    name: TORCH,
    async run() {
      // Numbers go through files: a million of them is no line of JSON.
      const folder = mkdtempSync(join(tmpdir(), 'wgslim-torch-'));
      const file = join(folder, 'tensors');
      try {
        if (!isOpen) {
          const layout = writeTensors(file, tensors);
          await peer.ask({ do: 'open', constants: {}, ...description, tensors: layout, file });
          isOpen = true;
        }
        await peer.ask({ do: 'result', file });
        const bytes = readFileSync(file);
        return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    async sample(repeats) {
      const { milliseconds } = await peer.ask({ do: 'sample', repeats });
      if (typeof milliseconds !== 'number' || !(milliseconds > 0)) throw new Error('it answered without a time');
      return milliseconds;
    },
    async dispose() {
      // What fails here says so in the next case, which asks too.
      if (isOpen && peer.isRunning) await peer.ask({ do: 'close' }).catch(() => {});
    },
  };
}

/** All of them one after the other, as little-endian float32, and where each begins. */
function writeTensors(file: string, tensors: ReadonlyMap<string, TorchTensor>) {
  const layout: { name: string; shape: readonly number[]; at: number }[] = [];
  let at = 0;
  for (const [name, { shape, data }] of tensors) {
    if (data.length !== elementsOf(shape)) throw new RangeError(`${data.length} numbers for ${shape.join('×')}`);
    layout.push({ name, shape, at });
    at += data.length;
  }
  const all = new Float32Array(at);
  [...tensors.values()].forEach(({ data }, i) => {
    all.set(data, layout[i].at);
  });
  writeFileSync(file, new Uint8Array(all.buffer));
  return layout;
}
