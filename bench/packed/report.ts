import { renderTable } from '../../src/cli/table.ts';
import type { Roof } from '../../src/kernels/roof.ts';
import type { GpuFigures } from '../figures.ts';
import type { Spread } from '../statistics.ts';

/** A layer with its weights in one format. */
export interface PackedRow {
  layer: string;
  format: string;
  /** Multiplications and additions of the layer with all its weights. */
  operations: number;
  /** GPU milliseconds, padding and quantization of the input included. */
  float32: Spread;
  packed: Spread;
  /** float32 through packed, pair by pair: above 1, packed is faster. */
  ratio: Spread;
  /** Of a convolution: the same for float32 in the implicit product. */
  product?: Spread | undefined;
  bytes: { float32: number; packed: number };
  /** Largest difference from the layer in float64, through its largest value; of what the numbers stand for. */
  error: { float32: number; packed: number };
  /** Of the packed layer. */
  gpu?: GpuFigures | undefined;
}

/** What was measured, on what, as the JSON file holds it. */
export interface PackedReport {
  suite: 'packed';
  adapter: { name: string; driver: string; kind: 'gpu' | 'cpu'; source: string };
  load: [number, number];
  roof: Roof;
  rows: PackedRow[];
}

export function renderPacked(rows: readonly PackedRow[]): string {
  const right = 'right' as const;
  return renderTable(
    [
      { title: 'layer' },
      { title: 'weights' },
      ...[
        'float32 ms',
        'packed ms',
        'float32 ÷ packed (min–max)',
        'product ÷ packed',
        'of roof',
        'bytes',
        'of float32',
        'error',
        'error float32',
      ].map((title) => ({ title, align: right })),
    ],
    rows.map(({ layer, format, float32, packed, ratio, product, bytes, error, gpu }) => [
      layer,
      format,
      float32.median.toFixed(3),
      packed.median.toFixed(3),
      `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
      product?.median.toFixed(2) ?? '',
      gpu ? `${(100 * gpu.ofRoof).toFixed(0)} %` : '',
      String(bytes.packed),
      `${((100 * bytes.packed) / bytes.float32).toFixed(1)} %`,
      error.packed.toExponential(0),
      error.float32.toExponential(0),
    ]),
  );
}
