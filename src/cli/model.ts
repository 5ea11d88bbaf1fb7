/** Opening the MODEL of a command line, and finding out what it takes before any GPU is touched. */
import type { Command } from 'commander';
import { prepareGraph } from '../engine/prepare.ts';
import { type CompressedModel, decodeModel, isCompressedModel } from '../format/decodeModel.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import { readQuantizedOnnxFile } from '../onnx/node.ts';
import type { QuantizedWeight } from '../onnx/quantizedWeight.ts';
import { readInput } from '../train/data/node/files.ts';
import { type Preprocess, parsePreprocess } from '../train/data/preprocess.ts';
import { onlyInput } from '../train/input.ts';
import { logitsGraph } from '../train/logits.ts';
import { shapeArgument } from './flags.ts';

export interface ModelFlags {
  inputShape?: number[];
}

export interface OpenedModel {
  path: string;
  format: 'onnx' | 'wgslim';
  /** Of the file (ONNX: without tensors in files beside it). */
  bytes: number;
  graph: Graph;
  /** Integers behind float32 initializers of an ONNX file. */
  weights?: Map<string, QuantizedWeight>;
  /** Where the file is a compressed one. */
  compressed?: CompressedModel;
  /** What a compressed file remembers. */
  preprocess?: Preprocess;
  classNames?: string[];
}

export function addModelOptions(command: Command): Command {
  return command.option(
    '--input-shape <shape>',
    'shape of the input, for models that leave it open: 1x3x224x224',
    shapeArgument,
  );
}

/**
 * Reads an ONNX or a compressed model, told apart by content.
 * @throws InputError naming the file
 */
export async function openModel(path: string, flags: ModelFlags = {}): Promise<OpenedModel> {
  const bytes = await readInput(path);
  if (!looksLikeSafetensors(bytes)) {
    const { graph, weights } = await readQuantizedOnnxFile(path);
    return { path, format: 'onnx', bytes: bytes.length, graph: withInputShape(path, graph, flags.inputShape), weights };
  }
  const compressed = decodeModel(bytes, { fileName: path });
  const { meta } = compressed;
  return {
    path,
    format: 'wgslim',
    bytes: bytes.length,
    graph: withInputShape(path, compressed.graph, flags.inputShape),
    compressed,
    ...(meta.preprocess !== undefined && {
      preprocess: parsePreprocess(meta.preprocess, { source: `${path}: wgslim.meta: preprocess` }),
    }),
    ...(meta.classNames && { classNames: meta.classNames }),
  };
}

/** Such a file begins with the length of its JSON header, then an opening brace. */
function looksLikeSafetensors(bytes: Uint8Array): boolean {
  return isCompressedModel(bytes) || (bytes.length > 8 && bytes[8] === 0x7b && bytes[7] === 0 && bytes[6] === 0);
}

function withInputShape(path: string, graph: Graph, shape: readonly number[] | undefined): Graph {
  if (!shape) return graph;
  const [input, ...others] = graph.inputs;
  if (!input || others.length > 0) {
    throw new InputError(`--input-shape: ${path} has ${graph.inputs.length} inputs, and the shape is for one.`);
  }
  const fits =
    !input.shape ||
    (input.shape.length === shape.length &&
      input.shape.every((dim, axis) => axis === 0 || typeof dim === 'string' || dim === shape[axis]));
  if (!fits) throw new InputError(`--input-shape: ${path} takes ${input.shape?.join('x')}, not ${shape.join('x')}.`);
  // The batch stays open where it was.
  const batch = input.shape?.[0] ?? 'batch';
  return { ...graph, inputs: [{ ...input, shape: [batch, ...shape.slice(1)] }] };
}

export interface ClassifierShape {
  input: string;
  /** For a batch of 1. */
  inputShape: readonly number[];
  /** Channels of images, where the input's shape tells. */
  channels?: 1 | 3;
  outputs: number;
}

/**
 * Checks that the engine can run the model as a classifier.
 * @throws InputError naming the file, and the node and operator that stand in the way
 */
export function checkClassifier({ path, graph }: OpenedModel): ClassifierShape {
  return namingFile(path, () => {
    const { graph: fixed, shapes } = prepareGraph(logitsGraph(graph), { batch: 1 });
    const input = onlyInput(fixed);
    const inputShape = shapes.get(input) as number[];
    const logits = shapes.get(fixed.outputs[0]!.name) as number[];
    const channels = channelsOf(inputShape);
    return {
      input,
      inputShape,
      ...(channels && { channels }),
      outputs: logits.slice(1).reduce((product, length) => product * length, 1),
    };
  });
}

/** [N, C, H, W] or [N, H, W, C] with 1 or 3 channels. */
export function channelsOf(shape: readonly number[]): 1 | 3 | undefined {
  if (shape.length !== 4) return undefined;
  for (const length of [shape[1], shape[3]]) if (length === 1 || length === 3) return length;
  return undefined;
}

/** Adds the file to messages of code that does not know it. */
export function namingFile<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof InputError && !error.message.includes(path)) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}
