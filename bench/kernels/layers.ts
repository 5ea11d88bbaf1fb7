import { batchNorm, batchNormBackward, channelStatistics } from '../../src/kernels/batchNorm.ts';
import { maxPool, type PoolWindows } from '../../src/kernels/pool.ts';
import { softmax } from '../../src/kernels/softmax.ts';
import { randomFloats, toChannelsFirst, toChannelsLast } from '../data.ts';
import { recordOurs } from '../ours.ts';
import { type JaxArray, jaxBatchNorm, jaxContender, jaxMaxPool2x2 } from '../peers/jax.ts';
import { ortContender, singleNode } from '../peers/onnxruntime.ts';
import { tfContender } from '../peers/tfjs.ts';
import { torchKernel } from '../peers/torch.ts';
import type { KernelCase } from './case.ts';

const EPSILON = 1e-5;
const IMAGES: [number, number, number, number] = [16, 64, 32, 32];

/** Normalisation by the statistics of the batch itself, as in training. */
function batchNormForward(): KernelCase {
  const [n, c, h, w] = IMAGES;
  const x = randomFloats(n * c * h * w, 1);
  const scale = randomFloats(c, 2);
  const shift = randomFloats(c, 3);
  return {
    name: `batch norm, training, ${IMAGES.join('×')}`,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const shape = { n, c, plane: h * w };
        const input = upload(IMAGES, x);
        const mean = builder.tensor([c]);
        const variance = builder.tensor([c]);
        const y = builder.tensor(IMAGES);
        channelStatistics(builder, { x: input, shape, mean, variance });
        const affine = { scale: upload([c], scale), shift: upload([c], shift) };
        batchNorm(builder, { x: input, shape, ...affine, mean, variance, y, epsilon: EPSILON });
        return y;
      }),
    tfjs: (tf) =>
      tfContender(
        tf,
        [tf.tensor(toChannelsLast(x, IMAGES), [n, h, w, c]), tf.tensor(scale, [c]), tf.tensor(shift, [c])],
        (input, factor, offset) => {
          const { mean, variance } = tf.moments(input, [0, 1, 2]);
          return tf.batchNorm(input, mean, variance, offset, factor, EPSILON);
        },
        (result) => toChannelsFirst(result, IMAGES),
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      const arrays = [np.array(x, { shape: IMAGES }), np.array(scale, { shape: [c] }), np.array(shift, { shape: [c] })];
      return jaxContender(jax, arrays, (input, factor, offset) => {
        const { y, mean, variance } = jaxBatchNorm(jax, { x: input, scale: factor, shift: offset, epsilon: EPSILON });
        mean.dispose();
        variance.dispose();
        return y;
      });
    },
    torch: (torch) =>
      torchKernel(
        torch,
        'BatchNormOfBatch',
        [
          { shape: IMAGES, data: x },
          { shape: [c], data: scale },
          { shape: [c], data: shift },
        ],
        { epsilon: EPSILON },
      ),
  };
}

/** The above and its gradient by the input; the peers' differentiation runs both passes too. */
function batchNormGradient(): KernelCase {
  const [n, c, h, w] = IMAGES;
  const x = randomFloats(n * c * h * w, 1);
  const dy = randomFloats(n * c * h * w, 4);
  const scale = randomFloats(c, 2);
  return {
    name: `batch norm, training, and gradient by input, ${IMAGES.join('×')}`,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const shape = { n, c, plane: h * w };
        const input = upload(IMAGES, x);
        const mean = builder.tensor([c]);
        const variance = builder.tensor([c]);
        const dx = builder.tensor(IMAGES);
        channelStatistics(builder, { x: input, shape, mean, variance });
        const [factor, shift] = [upload([c], scale), upload([c], new Float32Array(c))];
        const y = builder.tensor(IMAGES);
        batchNorm(builder, { x: input, shape, scale: factor, shift, mean, variance, y, epsilon: EPSILON });
        batchNormBackward(builder, {
          dy: upload(IMAGES, dy),
          x: input,
          shape,
          scale: factor,
          mean,
          variance,
          epsilon: EPSILON,
          ofBatch: true,
          dx,
        });
        return dx;
      }),
    tfjs: (tf) => {
      const [factor, shift] = [tf.tensor(scale, [c]), tf.tensor(new Float32Array(c), [c])];
      const gradient = tf.grad((input) => {
        const { mean, variance } = tf.moments(input, [0, 1, 2]);
        return tf.batchNorm(input, mean, variance, shift, factor, EPSILON);
      });
      const last: typeof IMAGES = [n, h, w, c];
      return tfContender(
        tf,
        [tf.tensor(toChannelsLast(x, IMAGES), last), tf.tensor(toChannelsLast(dy, IMAGES), last), factor, shift],
        (input, dOut) => gradient(input, dOut),
        (result) => toChannelsFirst(result, IMAGES),
      );
    },
    jax: (jax) => {
      const { numpy: np } = jax;
      const gradient = jax.grad((input: JaxArray, factor: JaxArray, dOut: JaxArray) => {
        const shift = factor.ref.mul(0);
        const { y, mean, variance } = jaxBatchNorm(jax, { x: input, scale: factor, shift, epsilon: EPSILON });
        mean.dispose();
        variance.dispose();
        return y.mul(dOut).sum();
      });
      const arrays = [np.array(x, { shape: IMAGES }), np.array(scale, { shape: [c] }), np.array(dy, { shape: IMAGES })];
      return jaxContender(jax, arrays, (input, factor, dOut) => gradient(input, factor, dOut));
    },
    torch: (torch) =>
      torchKernel(
        torch,
        'BatchNormGradInput',
        [
          { shape: IMAGES, data: x },
          { shape: IMAGES, data: dy },
          { shape: [c], data: scale },
        ],
        { epsilon: EPSILON },
      ),
  };
}

function maxPooling(): KernelCase {
  const [n, c, h, w] = IMAGES;
  const out: typeof IMAGES = [n, c, h / 2, w / 2];
  const x = randomFloats(n * c * h * w, 1);
  const windows: PoolWindows = {
    n,
    c,
    ih: h,
    iw: w,
    oh: h / 2,
    ow: w / 2,
    kh: 2,
    kw: 2,
    strideH: 2,
    strideW: 2,
    dilH: 1,
    dilW: 1,
    padTop: 0,
    padLeft: 0,
    padBottom: 0,
    padRight: 0,
    countIncludePad: false,
  };
  return {
    name: `max pool 2×2, ${IMAGES.join('×')}`,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const y = builder.tensor(out);
        maxPool(builder, { x: upload(IMAGES, x), y, windows });
        return y;
      }),
    tfjs: (tf) =>
      tfContender(
        tf,
        [tf.tensor(toChannelsLast(x, IMAGES), [n, h, w, c])],
        (input) => tf.maxPool(input, 2, 2, 'valid'),
        (result) => toChannelsFirst(result, out),
      ),
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('MaxPool', {
          inputs: [{ name: 'x', shape: IMAGES }],
          output: out,
          attributes: { kernel_shape: [2, 2], strides: [2, 2] },
        }),
        x,
      ),
    jax: (jax) => jaxContender(jax, [jax.numpy.array(x, { shape: IMAGES })], jaxMaxPool2x2),
    torch: (torch) =>
      torchKernel(torch, 'MaxPool', [{ shape: IMAGES, data: x }], { kernel_shape: [2, 2], strides: [2, 2] }),
  };
}

function softmaxRows(rows: number, columns: number): KernelCase {
  const shape = [rows, columns];
  const x = randomFloats(rows * columns, 1);
  return {
    name: `softmax ${rows}×${columns}`,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const y = builder.tensor(shape);
        softmax(builder, { x: upload(shape, x), y, log: false, lines: { lines: rows, length: columns, inner: 1 } });
        return y;
      }),
    tfjs: (tf) => tfContender(tf, [tf.tensor(x, shape)], (input) => tf.softmax(input)),
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('Softmax', { inputs: [{ name: 'x', shape }], output: shape, attributes: { axis: -1 } }),
        x,
      ),
    jax: (jax) => jaxContender(jax, [jax.numpy.array(x, { shape })], (input) => jax.nn.softmax(input, -1)),
    torch: (torch) => torchKernel(torch, 'Softmax', [{ shape, data: x }]),
  };
}

export const layers: readonly KernelCase[] = [
  batchNormForward(),
  batchNormGradient(),
  maxPooling(),
  softmaxRows(512, 1000),
  softmaxRows(8192, 10),
];
