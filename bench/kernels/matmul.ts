import { floatTensor } from '../../src/graph/tensor.ts';
import { matmul, matrix } from '../../src/kernels/matmul.ts';
import { randomFloats } from '../data.ts';
import { recordOurs } from '../ours.ts';
import { jaxContender } from '../peers/jax.ts';
import { ortContender, singleNode } from '../peers/onnxruntime.ts';
import { tfContender } from '../peers/tfjs.ts';
import { torchKernel } from '../peers/torch.ts';
import type { KernelCase } from './case.ts';

/** [m, k] · [k, n]; the right one is a weight where the peer tells weights from inputs. */
function product(m: number, k: number, n: number): KernelCase {
  const a = randomFloats(m * k, 1);
  const b = randomFloats(k * n, 2);
  return {
    name: `matmul ${m}×${k}×${n}`,
    operations: 2 * m * n * k,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const out = builder.tensor([m, n]);
        const operands = { a: matrix(upload([m, k], a), k), b: matrix(upload([k, n], b), n), out: matrix(out, n) };
        matmul(builder, { m, n, k, ...operands });
        return out;
      }),
    tfjs: (tf) => tfContender(tf, [tf.tensor(a, [m, k]), tf.tensor(b, [k, n])], (x, y) => tf.matMul(x, y)),
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('MatMul', {
          inputs: [{ name: 'a', shape: [m, k] }],
          initializers: [{ name: 'b', tensor: floatTensor([k, n], b) }],
          output: [m, n],
        }),
        a,
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      return jaxContender(jax, [np.array(a, { shape: [m, k] }), np.array(b, { shape: [k, n] })], np.matmul);
    },
    torch: (torch) =>
      torchKernel(torch, 'MatMul', [
        { shape: [m, k], data: a },
        { shape: [k, n], data: b },
      ]),
  };
}

export const products: readonly KernelCase[] = [
  product(512, 512, 512),
  product(1024, 1024, 1024),
  product(511, 257, 129),
  product(1, 1024, 1024),
  product(64, 1024, 10),
];
