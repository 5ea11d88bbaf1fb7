import type { Command } from 'commander';
import { inferOperator } from '../../engine/registry.ts';
import type { EncodedTensor } from '../../format/encodedTensor.ts';
import { encodingName } from '../../format/tensorRecord.ts';
import { inferShapeOfOperator } from '../../graph/infer/inferers.ts';
import { inspectGraph, type LayerSummary, learntNames } from '../../graph/inspect.ts';
import { specialize } from '../../graph/specialize.ts';
import type { Graph } from '../../graph/types.ts';
import { packTensors } from '../../runtime/packModel.ts';
import { describePacking, type PackedTensor, type WeightMemory } from '../../runtime/packWeights.ts';
import { addCommonOptions, addWeightsOption, type CommonFlags, type WeightsFlags } from '../flags.ts';
import { addModelOptions, type ModelFlags, namingFile, type OpenedModel, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { renderPairs, renderTable } from '../table.ts';
import { formatBytes, formatCount, formatPercent, formatShape } from '../text.ts';

export function addInspectCommand(program: Command): void {
  addCommonOptions(addWeightsOption(addModelOptions(program.command('inspect'))))
    .argument('<model>', 'an .onnx file or a compressed file')
    .summary('list layers, shapes, parameters, MACs, bytes, sparsity and precision')
    .description(
      'Lists what each layer of a model holds and costs: shape of its output, parameters, multiply-accumulates for one sample, sparsity, bits of a weight, and bytes; of a compressed file also how it is stored, and in what form a GPU’s kernels take it. Needs no GPU.',
    )
    .addHelpText('after', '\nExamples:\n  wgslim inspect model.onnx\n  wgslim inspect small.wgslim --json')
    .action(inspect);
}

export interface InspectedLayer extends LayerSummary {
  /** Width of one stored weight; 0 for layers without any. */
  bits: number;
  /** What the layer's tensors take: in the compressed file, or as float32. */
  bytes: number;
  /** How a compressed file stores the weight: int, int.gap, f16, … */
  encoding?: string;
  /** In what form a GPU's kernels take the weight of a compressed file, and why. */
  kernel?: { form: string; reason: string };
}

async function inspect(path: string, flags: CommonFlags & ModelFlags & WeightsFlags): Promise<void> {
  const model = await openModel(path, flags);
  const layers = inspectLayers(model, flags.weights);
  const total = (field: 'parameters' | 'nonzero' | 'macs') => layers.reduce((sum, layer) => sum + layer[field], 0);
  const document = {
    model: path,
    format: model.format,
    parameters: total('parameters'),
    nonzero: total('nonzero'),
    macs: total('macs'),
    bytes: model.bytes,
    layers,
  };
  await printResult(flags, document, describe(model, document));
}

export function inspectLayers({ path, graph, compressed }: OpenedModel, weights?: WeightMemory): InspectedLayer[] {
  const lookup = (op: string) => inferOperator(op) ?? inferShapeOfOperator(op);
  const { fixed, summaries } = namingFile(path, () => ({
    // As `inspectGraph` sees it: constants folded, so that every weight is an input of its layer.
    fixed: specialize(graph, lookup, { batch: 1 }).graph,
    summaries: inspectGraph(graph, lookup),
  }));
  const packed = compressed ? packTensors({ kind: 'gpu' }, compressed, weights) : new Map<string, PackedTensor>();
  const nodes = new Map(fixed.nodes.map((node) => [node.name, node]));
  const counted = new Set<string>();
  return summaries.map((summary) => {
    const node = nodes.get(summary.name);
    const names = (node?.inputs ?? []).filter((name) => name && !counted.has(name));
    for (const name of names) counted.add(name);
    if (compressed) {
      const stored = names.flatMap((name) => compressed.encodings.get(name) ?? []);
      const weight = heaviest(stored.filter(({ name }) => node && learntNames(node).includes(name)));
      return {
        ...summary,
        bits: weight?.bits ?? 0,
        bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0),
        ...(weight && { encoding: encodingName(weight), ...kernelOf(packed.get(weight.name)) }),
      };
    }
    return { ...summary, bits: summary.parameters > 0 ? 32 : 0, bytes: rawBytes(fixed, names) };
  });
}

function kernelOf(packed: PackedTensor | undefined) {
  return packed && { kernel: { form: describePacking(packed), reason: packed.choice.reason } };
}

function heaviest(tensors: readonly EncodedTensor[]): EncodedTensor | undefined {
  const elements = ({ shape }: EncodedTensor) => shape.reduce((product, length) => product * length, 1);
  return [...tensors].sort((a, b) => elements(b) - elements(a))[0];
}

/** Tensors that only say how to compute (shapes, axes, pads) are no part of a layer's weight. */
function rawBytes(graph: Graph, names: readonly string[]): number {
  return names.reduce((sum, name) => {
    const tensor = graph.initializers.get(name);
    return sum + (tensor?.dtype === 'float32' ? tensor.data.byteLength : 0);
  }, 0);
}

interface Totals {
  parameters: number;
  nonzero: number;
  macs: number;
  layers: readonly InspectedLayer[];
}

function describe({ path, format, bytes, graph, compressed }: OpenedModel, totals: Totals): string {
  const right = 'right' as const;
  const columns = [
    { title: 'layer' },
    { title: 'operator' },
    { title: 'output', align: right },
    { title: 'parameters', align: right },
    { title: 'MACs', align: right },
    { title: 'sparsity', align: right },
    { title: 'bits', align: right },
    { title: 'bytes', align: right },
    ...(compressed ? [{ title: 'stored as' }, { title: 'runs as' }] : []),
  ];
  const rows = totals.layers.map((layer) => [
    layer.name,
    layer.op,
    formatShape(layer.shape),
    layer.parameters > 0 ? formatCount(layer.parameters) : '',
    layer.macs > 0 ? formatCount(layer.macs) : '',
    layer.parameters > 0 ? formatPercent(1 - layer.nonzero / layer.parameters, 1) : '',
    layer.bits > 0 ? String(layer.bits) : '',
    layer.bytes > 0 ? formatCount(layer.bytes) : '',
    ...(compressed ? [layer.encoding ?? '', layer.kernel?.form ?? ''] : []),
  ]);
  const { originalBytes, recipe } = compressed?.meta ?? {};
  const inputs = graph.inputs.map(({ name, shape }) => `${name} ${formatShape(shape ?? [])}`).join(', ');
  const tensors = totals.layers.reduce((sum, layer) => sum + layer.bytes, 0);
  return [
    renderTable(columns, rows),
    '',
    renderPairs([
      ['model', path],
      [
        'format',
        format === 'onnx' ? 'ONNX' : `wgslim ${compressed?.file.version}${recipe ? `, made by ${recipe}` : ''}`,
      ],
      ['input', inputs],
      ['parameters', formatCount(totals.parameters)],
      ['sparsity', formatPercent(totals.parameters ? 1 - totals.nonzero / totals.parameters : 0)],
      ['MACs', `${formatCount(totals.macs)} per sample`],
      ['file', `${formatCount(bytes)} bytes, of which ${formatCount(tensors)} are the layers' tensors`],
      ...(originalBytes
        ? [
            [
              'ratio',
              `${(originalBytes / bytes).toFixed(1)} (was ${formatBytes(originalBytes)} of float32 weights)`,
            ] as [string, string],
          ]
        : []),
    ]),
  ].join('\n');
}
