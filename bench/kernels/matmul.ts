import { floatTensor } from '../../src/graph/tensor.ts';
import { batchedMatmul } from '../../src/kernels/batchedMatmul.ts';
import { productAlternatives } from '../../src/kernels/productAlternatives.ts';
import { randomFloats } from '../data.ts';
import { recordOurs } from '../ours.ts';
import { jaxContender } from '../peers/jax.ts';
import { ortContender, singleNode } from '../peers/onnxruntime.ts';
import { tfContender } from '../peers/tfjs.ts';
import { torchKernel } from '../peers/torch.ts';
import type { KernelCase } from './case.ts';

/** [m, k] · [k, n], or a batch of them; the right one is a weight where the peer tells weights from inputs. */
export function product(m: number, k: number, n: number, batch: number[] = []): KernelCase {
  const count = batch.reduce((product, size) => product * size, 1);
  const [aShape, bShape, outShape] = [
    [...batch, m, k],
    [...batch, k, n],
    [...batch, m, n],
  ];
  const a = randomFloats(count * m * k, 1);
  const b = randomFloats(count * k * n, 2);
  return {
    name: `matmul ${batch.map((size) => `${size} of `).join('')}${m}×${k}×${n}`,
    operations: 2 * count * m * n * k,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const out = builder.tensor(outShape);
        const operands = { a: { operand: upload(aShape, a), batch }, b: { operand: upload(bShape, b), batch }, out };
        batchedMatmul(builder, { m, n, k, batch, ...operands, alternatives: productAlternatives });
        return out;
      }),
    tfjs: (tf) => tfContender(tf, [tf.tensor(a, aShape), tf.tensor(b, bShape)], (x, y) => tf.matMul(x, y)),
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('MatMul', {
          inputs: [{ name: 'a', shape: aShape }],
          initializers: [{ name: 'b', tensor: floatTensor(bShape, b) }],
          output: outShape,
        }),
        a,
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      return jaxContender(jax, [np.array(a, { shape: aShape }), np.array(b, { shape: bShape })], np.matmul);
    },
    torch: (torch) =>
      torchKernel(torch, 'MatMul', [
        { shape: aShape, data: a },
        { shape: bShape, data: b },
      ]),
  };
}

export const products: readonly KernelCase[] = [
  product(512, 512, 512),
  product(1024, 1024, 1024),
  product(511, 257, 129),
  product(1, 1024, 1024),
  product(1024, 1024, 1),
  product(64, 1024, 10),
  product(1000, 7, 1000),
  product(1000, 64, 1000),
  product(128, 64, 128, [16]),
  product(33, 65, 17, [50]),
  product(8, 8, 8, [1000]),
];
