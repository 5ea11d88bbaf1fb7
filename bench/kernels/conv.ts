import { floatTensor } from '../../src/graph/tensor.ts';
import { conv } from '../../src/kernels/conv.ts';
import { convGradInput } from '../../src/kernels/convGradInput.ts';
import { convGradWeight } from '../../src/kernels/convGradWeight.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { floatConvAlternatives } from '../../src/kernels/floatConvAlternatives.ts';
import { permute, randomFloats, toChannelsFirst, toChannelsLast, toOnnxKernel, toTensorFlowKernel } from '../data.ts';
import { recordOurs } from '../ours.ts';
import { type Jax, type JaxArray, jaxContender } from '../peers/jax.ts';
import { ortContender, singleNode } from '../peers/onnxruntime.ts';
import { tfContender } from '../peers/tfjs.ts';
import { torchKernel } from '../peers/torch.ts';
import type { KernelCase } from './case.ts';

type FourAxes = [number, number, number, number];

/** A convolution with square kernels, stride 1 and the same padding on all sides, with its data in every layout. */
interface Problem {
  name: string;
  shape: ConvShape;
  pad: number;
  xShape: FourAxes;
  wShape: FourAxes;
  yShape: FourAxes;
  x: Float32Array<ArrayBuffer>;
  w: Float32Array<ArrayBuffer>;
  dy: Float32Array<ArrayBuffer>;
  operations: number;
}

interface ProblemOptions {
  images: number;
  ic: number;
  oc: number;
  size: number;
  kernel: number;
  pad: number;
  groups?: number;
}

function problem({ images: n, ic, oc, size, kernel, pad, groups = 1 }: ProblemOptions): Problem {
  const out = size + 2 * pad - kernel + 1;
  const shape: ConvShape = {
    n,
    ic,
    ih: size,
    iw: size,
    oc,
    oh: out,
    ow: out,
    kh: kernel,
    kw: kernel,
    strideH: 1,
    strideW: 1,
    dilH: 1,
    dilW: 1,
    padTop: pad,
    padLeft: pad,
    padBottom: pad,
    padRight: pad,
    groups,
  };
  const kind = groups > 1 ? 'depthwise' : 'conv';
  const channels = groups > 1 ? `${ic}` : `${ic}→${oc}`;
  const perOutput = (ic / groups) * kernel * kernel;
  return {
    name: `${kind} ${kernel}×${kernel} ${channels} ${size}×${size} b${n}`,
    shape,
    pad,
    xShape: [n, ic, size, size],
    wShape: [oc, ic / groups, kernel, kernel],
    yShape: [n, oc, out, out],
    x: randomFloats(n * ic * size * size, 1),
    w: randomFloats(oc * perOutput, 2),
    dy: randomFloats(n * oc * out * out, 3),
    operations: 2 * n * oc * out * out * perOutput,
  };
}

const onnxAttributes = ({ shape: { kh, kw, groups }, pad }: Problem) => ({
  kernel_shape: [kh, kw],
  pads: [pad, pad, pad, pad],
  strides: [1, 1],
  group: groups,
});

const jaxConv = (jax: Jax, { pad, shape }: Problem, x: JaxArray, w: JaxArray) =>
  jax.lax.convGeneralDilated(
    x,
    w,
    [1, 1],
    [
      [pad, pad],
      [pad, pad],
    ],
    { featureGroupCount: shape.groups },
  );

function forward(p: Problem): KernelCase {
  const depthwise = p.shape.groups > 1;
  return {
    name: `${p.name} forward`,
    operations: p.operations,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const out = builder.tensor(p.yShape);
        conv(builder, {
          x: upload(p.xShape, p.x),
          weights: upload(p.wShape, p.w),
          out,
          shape: p.shape,
          alternatives: floatConvAlternatives,
        });
        return out;
      }),
    tfjs: (tf) => {
      const { kh, kw, ic } = p.shape;
      const [n, , h, w] = p.xShape;
      const x = tf.tensor(toChannelsLast(p.x, p.xShape), [n, h, w, ic]);
      // TensorFlow's depthwise kernels are [kh, kw, channels, 1].
      const kernel = depthwise
        ? tf.tensor(permute(p.w, p.wShape, [2, 3, 0, 1]), [kh, kw, ic, 1])
        : tf.tensor(toTensorFlowKernel(p.w, p.wShape), [kh, kw, ic, p.shape.oc]);
      return tfContender(
        tf,
        [x, kernel],
        (input, weights) =>
          depthwise ? tf.depthwiseConv2d(input, weights, 1, p.pad) : tf.conv2d(input, weights, 1, p.pad),
        (result) => toChannelsFirst(result, p.yShape),
      );
    },
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('Conv', {
          inputs: [{ name: 'x', shape: p.xShape }],
          initializers: [{ name: 'w', tensor: floatTensor(p.wShape, p.w) }],
          output: p.yShape,
          attributes: onnxAttributes(p),
        }),
        p.x,
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      const inputs = [np.array(p.x, { shape: p.xShape }), np.array(p.w, { shape: p.wShape })];
      return jaxContender(jax, inputs, (x, w) => jaxConv(jax, p, x, w));
    },
    torch: (torch) =>
      torchKernel(
        torch,
        'Conv',
        [
          { shape: p.xShape, data: p.x },
          { shape: p.wShape, data: p.w },
        ],
        onnxAttributes(p),
      ),
  };
}

function byInput(p: Problem): KernelCase {
  const { kh, kw, ic, oc } = p.shape;
  const [n, , ih, iw] = p.xShape;
  const [, , oh, ow] = p.yShape;
  return {
    name: `${p.name} gradient by input`,
    operations: p.operations,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const dx = builder.tensor(p.xShape);
        convGradInput(builder, { dy: upload(p.yShape, p.dy), weights: upload(p.wShape, p.w), dx, shape: p.shape });
        return dx;
      }),
    tfjs: (tf) =>
      tfContender(
        tf,
        [
          tf.tensor(toChannelsLast(p.dy, p.yShape), [n, oh, ow, oc]),
          tf.tensor(toTensorFlowKernel(p.w, p.wShape), [kh, kw, ic, oc]),
        ],
        (dy, filter) =>
          tf.engine().runKernel(
            'Conv2DBackpropInput',
            { dy, filter },
            {
              strides: 1,
              pad: p.pad,
              dataFormat: 'NHWC',
              dimRoundingMode: undefined,
              inputShape: [n, ih, iw, ic],
            },
          ),
        (result) => toChannelsFirst(result, p.xShape),
      ),
    // The transposed convolution of ONNX is this gradient.
    onnxruntime: (ort) =>
      ortContender(
        ort,
        singleNode('ConvTranspose', {
          inputs: [{ name: 'dy', shape: p.yShape }],
          initializers: [{ name: 'w', tensor: floatTensor(p.wShape, p.w) }],
          output: p.xShape,
          attributes: onnxAttributes(p),
        }),
        p.dy,
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      const gradient = jax.grad((x: JaxArray, w: JaxArray, dy: JaxArray) => jaxConv(jax, p, x, w).mul(dy).sum());
      const arrays = [
        np.array(p.x, { shape: p.xShape }),
        np.array(p.w, { shape: p.wShape }),
        np.array(p.dy, { shape: p.yShape }),
      ];
      return jaxContender(jax, arrays, (x, w, dy) => gradient(x, w, dy));
    },
    torch: (torch) =>
      torchKernel(
        torch,
        'ConvGradInput',
        [
          { shape: p.yShape, data: p.dy },
          { shape: p.wShape, data: p.w },
        ],
        { ...onnxAttributes(p), input_shape: p.xShape },
      ),
  };
}

function byWeights(p: Problem): KernelCase {
  const { kh, kw, ic, oc } = p.shape;
  const [n, , ih, iw] = p.xShape;
  const [, , oh, ow] = p.yShape;
  return {
    name: `${p.name} gradient by weights`,
    operations: p.operations,
    ours: (gpu) =>
      recordOurs(gpu, (builder, upload) => {
        const dw = builder.tensor(p.wShape);
        convGradWeight(builder, { x: upload(p.xShape, p.x), dy: upload(p.yShape, p.dy), dw, shape: p.shape });
        return dw;
      }),
    tfjs: (tf) =>
      tfContender(
        tf,
        [
          tf.tensor(toChannelsLast(p.x, p.xShape), [n, ih, iw, ic]),
          tf.tensor(toChannelsLast(p.dy, p.yShape), [n, oh, ow, oc]),
        ],
        (x, dy) =>
          tf.engine().runKernel(
            'Conv2DBackpropFilter',
            { x, dy },
            {
              strides: 1,
              pad: p.pad,
              dataFormat: 'NHWC',
              dimRoundingMode: undefined,
              filterShape: [kh, kw, ic, oc],
            },
          ),
        (result) => toOnnxKernel(result, p.wShape),
      ),
    jax: (jax) => {
      const { numpy: np } = jax;
      const loss = (x: JaxArray, w: JaxArray, dy: JaxArray) => jaxConv(jax, p, x, w).mul(dy).sum();
      const gradient = jax.grad(loss, { argnums: 1 });
      const arrays = [
        np.array(p.x, { shape: p.xShape }),
        np.array(p.w, { shape: p.wShape }),
        np.array(p.dy, { shape: p.yShape }),
      ];
      return jaxContender(jax, arrays, (x, w, dy) => gradient(x, w, dy));
    },
    torch: (torch) =>
      torchKernel(
        torch,
        'ConvGradWeight',
        [
          { shape: p.xShape, data: p.x },
          { shape: p.yShape, data: p.dy },
        ],
        { ...onnxAttributes(p), weight_shape: p.wShape },
      ),
  };
}

const middle = problem({ images: 16, ic: 64, oc: 64, size: 32, kernel: 3, pad: 1 });
const first = problem({ images: 128, ic: 1, oc: 6, size: 28, kernel: 5, pad: 2 });
const second = problem({ images: 128, ic: 6, oc: 16, size: 14, kernel: 5, pad: 0 });
const pointwise = problem({ images: 16, ic: 64, oc: 128, size: 16, kernel: 1, pad: 0 });
const depthwise = problem({ images: 16, ic: 64, oc: 64, size: 32, kernel: 3, pad: 1, groups: 64 });

export const convolutions: readonly KernelCase[] = [
  forward(middle),
  byInput(middle),
  byWeights(middle),
  forward(first),
  byWeights(first),
  forward(second),
  byInput(second),
  byWeights(second),
  forward(pointwise),
  byInput(pointwise),
  forward(depthwise),
];
