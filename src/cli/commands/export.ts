import { type Command, Option } from 'commander';
import { denseCodes } from '../../format/denseCodes.ts';
import type { EncodedTensor } from '../../format/encodedTensor.ts';
import { writeFileAtomic } from '../../format/node.ts';
import { InputError } from '../../graph/errors.ts';
import type { Graph } from '../../graph/types.ts';
import { exportQuantized, type QuantizedExport } from '../../onnx/exportQuantized.ts';
import type { QuantizedWeight } from '../../onnx/quantizedWeight.ts';
import { addCommonOptions, type CommonFlags } from '../flags.ts';
import { addModelOptions, type ModelFlags, namingFile, type OpenedModel, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { renderTable } from '../table.ts';
import { formatCount } from '../text.ts';

interface ExportFlags extends CommonFlags, ModelFlags {
  output?: string;
  out?: string;
  packed?: boolean;
  roundedBias?: boolean;
}

export interface ExportedLayer {
  name: string;
  op: string;
  /** Element type of the weight in the ONNX file: float32, int8, int4, … */
  form: string;
  /** Of a code of the weight, which may use fewer than the type has. */
  bits: number;
  /** What shares a scale: tensor, channel, group of 32. */
  scales?: string;
  /** Elements of a block, where the layer is a MatMulNBits. */
  block?: number;
  /** Element type to which the layer's input is quantized. */
  input?: string;
}

export function addExportCommand(program: Command): void {
  addCommonOptions(addModelOptions(program.command('export')))
    .argument('<model>', 'a compressed file or an .onnx file')
    .option('-o, --output <file>', 'the ONNX file to write')
    .addOption(new Option('--out <file>').hideHelp())
    .option('--packed', 'dense layers with integer weights as MatMulNBits, which keeps them packed in onnxruntime')
    .option(
      '--rounded-bias',
      'leave biases where onnxruntime rounds them to run integer kernels: faster there, less exact (docs/export.md)',
    )
    .summary('write a compressed model as ONNX for other runtimes')
    .description(
      'Writes a model as ONNX (opset 21) that computes the same: integer weights as int8 or int4 with a DequantizeLinear, quantized activations as QuantizeLinear and DequantizeLinear, pruned weights with their zeros in place. Needs no GPU.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  wgslim export small.wgslim -o small.onnx\n  wgslim export small.wgslim --packed -o small.onnx\n  wgslim export small.wgslim --input-shape 1x1x28x28 -o small.onnx --json',
    )
    .action(exportModel);
}

async function exportModel(path: string, flags: ExportFlags): Promise<void> {
  const out = flags.output ?? flags.out;
  if (out === undefined) throw new InputError('-o, --output: no file to write to is named; give one.');
  const model = await openModel(path, flags);
  const { packed, roundedBias } = flags;
  const result = namingFile(path, () => exportQuantized(model.graph, quantizedWeights(model), { packed, roundedBias }));
  await writeFileAtomic(out, result.bytes);
  const layers = exportedLayers(model.graph, result);
  const document = { out, bytes: result.bytes.length, layers };
  await printResult(flags, document, describe(out, model, document, packed));
}

/** The integers of the file, by initializer. */
function quantizedWeights({ compressed, weights: known }: OpenedModel): Map<string, QuantizedWeight> {
  const weights = new Map(known);
  for (const [name, encoded] of compressed?.encodings ?? []) {
    if (encoded.kind === 'int') weights.set(name, quantizedWeight(encoded));
  }
  return weights;
}

function quantizedWeight(encoded: EncodedTensor): QuantizedWeight {
  const { shape, bits, zeroPoint, axis, groupSize } = encoded;
  return { shape, bits, codes: denseCodes(encoded), scale: encoded.scale!, zeroPoint, axis, groupSize };
}

/** Convolutions and products with a weight of the model's own. */
function exportedLayers(graph: Graph, { weights, activations }: QuantizedExport): ExportedLayer[] {
  const layers: ExportedLayer[] = [];
  for (const { name, op, inputs } of graph.nodes) {
    const [activation, weight] = inputs;
    const tensor = graph.initializers.get(weight ?? '');
    if (!weight || tensor?.dtype !== 'float32' || tensor.shape.length < 2) continue;
    const form = weights.get(weight);
    const input = activations.get(activation!);
    layers.push({
      name,
      op,
      form: form?.type ?? 'float32',
      bits: form?.bits ?? 32,
      ...(form && { scales: form.scales }),
      ...(form?.block !== undefined && { block: form.block }),
      ...(input && { input }),
    });
  }
  return layers;
}

function describe(
  out: string,
  model: OpenedModel,
  { bytes, layers }: { bytes: number; layers: ExportedLayer[] },
  packed = false,
) {
  const columns = [
    { title: 'layer' },
    { title: 'operator' },
    { title: 'weight' },
    { title: 'bits', align: 'right' as const },
    { title: 'a scale for each' },
    { title: 'input' },
  ];
  const rows = layers.map(({ name, op, form, bits, scales, block, input }) => [
    name,
    block === undefined ? op : 'MatMulNBits',
    form,
    String(bits),
    (block === undefined ? scales : `block of ${block}`) ?? '',
    input ?? 'float32',
  ]);
  return [
    renderTable(columns, rows),
    '',
    `${out}: ${formatCount(bytes)} bytes of ONNX, from ${formatCount(model.bytes)} of ${model.path}.`,
    ...(packed && layers.every(({ block }) => block === undefined)
      ? [
          'No layer was packed: MatMulNBits takes dense layers with integer weights, a scale a row or 16 to 256 elements.',
        ]
      : []),
  ].join('\n');
}
