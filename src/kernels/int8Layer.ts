import { int8Conv } from './int8Conv.ts';
import { type QuantizedPlanes, type QuantizedRows, quantizePlanes, quantizeRows } from './int8Planes.ts';
import { int8Product } from './int8Product.ts';
import { type Int8Weights, packInt8 } from './int8Weights.ts';
import type { ActivationInput, LayerCall, LayerFamily } from './layerFamily.ts';
import type { PackedOperand } from './packedOperand.ts';

/** Bytes times bytes: activations are quantized before the layers that share them. */
export const int8Layer: LayerFamily = {
  pack: (matrix, _, use) => packInt8(matrix, use),
  product(recorder, call) {
    const { m, label } = call;
    const weights = call.weights as PackedOperand<Int8Weights>;
    const input = activations(call);
    const x = shared(input.codes, 'rows', () =>
      quantizeRows(recorder, { ...input.quantizer, x: input.x, m, k: weights.k, label: `${label}: quantize` }),
    );
    int8Product(recorder, { ...call, weights, x });
  },
  conv(recorder, call) {
    if (call.out.elements === 0) return;
    const { shape, label } = call;
    const input = activations(call);
    const { padTop, padLeft, padBottom, padRight } = shape;
    const x = shared(input.codes, String([padTop, padLeft, padBottom, padRight]), () =>
      quantizePlanes(recorder, { ...input.quantizer, x: input.x, shape, label: `${label}: quantize` }),
    );
    int8Conv(recorder, { ...call, weights: call.weights as PackedOperand<Int8Weights>, x });
  },
};

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

function activations({ x, label }: LayerCall): ActivationInput {
  if ('quantizer' in x) return x;
  throw new Error(`${label}: int8 weights need activations with a quantizer`);
}
