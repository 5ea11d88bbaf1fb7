import { floatTensor } from '../graph/tensor.ts';
import type { Tensor } from '../graph/types.ts';
import { addIntegers, type Lowering } from './lowering.ts';
import { lowerProductWeight } from './lowerProducts.ts';
import type { PackedProduct } from './packedProduct.ts';
import { integerTypeOf, type QuantizedWeight, scaleShape } from './quantizedWeight.ts';

/**
 * Replaces each of these initializers by its integers and a DequantizeLinear, whose output has the initializer's name:
 * what reads it stays as it is. The integers stand where the float tensor stood. `products` are packed instead, under
 * the initializer's own name.
 */
export function lowerWeights(
  lowering: Lowering,
  weights: ReadonlyMap<string, QuantizedWeight>,
  products: ReadonlyMap<string, PackedProduct> = new Map(),
): void {
  const before = [...lowering.initializers];
  lowering.initializers.clear();
  for (const [name, tensor] of before) {
    const weight = weights.get(name);
    const product = products.get(name);
    if (product) lowerProductWeight(lowering, name, product);
    else if (weight) lowerWeight(lowering, name, weight);
    else lowering.initializers.set(name, tensor);
  }
}

function lowerWeight(lowering: Lowering, name: string, weight: QuantizedWeight): void {
  const { shape, codes, scale, zeroPoint, axis, groupSize } = weight;
  const type = integerTypeOf(weight);
  const scales = scaleShape(weight);
  const inputs = [addIntegers(lowering, `${name}_quantized`, { type, shape, codes })];
  inputs.push(addFloats(lowering, `${name}_scale`, floatTensor(scales, scale)));
  if (zeroPoint) {
    inputs.push(addIntegers(lowering, `${name}_zero_point`, { type, shape: scales, codes: zeroPoint }));
  }
  lowering.nodes.push({
    name: lowering.unique(`${name}_dequantize`),
    op: 'DequantizeLinear',
    inputs,
    outputs: [name],
    attributes: {
      ...(axis !== undefined && { axis }),
      ...(groupSize !== undefined && { axis: shape.length - 1, block_size: groupSize }),
    },
  });
}

function addFloats({ initializers, unique }: Lowering, wanted: string, tensor: Tensor): string {
  const name = unique(wanted);
  initializers.set(name, tensor);
  return name;
}
