import { int8Conv } from './int8Conv.ts';
import { emptyPlanes, type QuantizedPlanes, type QuantizedRows, quantizePlanes, quantizeRows } from './int8Planes.ts';
import type { Int8Processor } from './int8Processor.ts';
import { int8Product } from './int8Product.ts';
import { type Int8Weights, packingInt8 } from './int8Weights.ts';
import type { Operand } from './kernel.ts';
import type { ActivationInput, LayerCall, LayerFamily } from './layerFamily.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { PlanePadding } from './padPlanes.ts';

/** Bytes times bytes: activations are quantized before the layers that share them, or by the layer before those. */
export const int8LayerWith = (processor?: Int8Processor): LayerFamily => ({
  writesCodes: true,
  packing: (matrix, _, use) => packingInt8(matrix, use),
  product(recorder, call) {
    const { m, label } = call;
    const weights = call.weights as PackedOperand<Int8Weights>;
    const input = activations(call);
    const x = shared(input.codes, ROWS, () =>
      quantizeRows(recorder, {
        ...input.quantizer,
        x: floatsOf(input, label),
        m,
        k: weights.k,
        label: `${label}: quantize`,
      }),
    );
    int8Product(recorder, { ...call, weights, x, processor });
  },
  conv(recorder, call) {
    const { shape, label, codes, out } = call;
    const { n, oc, oh, ow } = shape;
    if (n * oc * oh * ow === 0) return;
    const input = activations(call);
    const x = shared(input.codes, PLANES, () =>
      quantizePlanes(recorder, {
        ...input.quantizer,
        x: floatsOf(input, label),
        shape: { ...shape, ...borders(input.padding) },
        label: `${label}: quantize`,
      }),
    );
    const next = codes && { ...shape, ic: oc, ih: oh, iw: ow, ...borders(codes.padding) };
    const written =
      codes && next && emptyPlanes(recorder, { ...codes.quantizer, shape: next, label: `${label}: codes` });
    const weights = call.weights as PackedOperand<Int8Weights>;
    int8Conv(recorder, { ...call, weights, x, out, codes: written, processor });
    if (written) codes.codes.set(PLANES, written);
  },
});

/** The same, on a GPU. */
export const int8Layer = /* @__PURE__ */ int8LayerWith();

const ROWS = 'rows';
const PLANES = 'planes';

function borders(padding: PlanePadding | undefined) {
  return padding && { padTop: padding.top, padLeft: padding.left, padBottom: padding.bottom, padRight: padding.right };
}

function floatsOf({ x }: ActivationInput, label: string): Operand<'f32'> {
  if (x) return x;
  throw new Error(`${label}: its input is there as codes of another layout only`);
}

function shared<T extends QuantizedPlanes | QuantizedRows>(
  codes: ActivationInput['codes'],
  key: string,
  make: () => T,
): T {
  const known = codes.get(key);
  if (known) return known as T;
  const made = make();
  codes.set(key, made);
  return made;
}

function activations({ x, label }: Pick<LayerCall, 'x' | 'label'>): ActivationInput {
  if ('quantizer' in x) return x;
  throw new Error(`${label}: int8 weights need activations with a quantizer`);
}
