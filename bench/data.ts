/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = (seed * 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers in −1..1, the same for the same seed. */
export function randomFloats(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(seed);
  return Float32Array.from({ length }, () => 2 * random() - 1);
}

/** The elements of a row-major tensor with its axes in another order: axis i of the result is axis `order[i]`. */
export function permute(
  data: Float32Array,
  shape: readonly number[],
  order: readonly number[],
): Float32Array<ArrayBuffer> {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  const lengths = order.map((axis) => shape[axis]);
  const steps = order.map((axis) => strides[axis]);
  const out = new Float32Array(data.length);
  const index = new Array<number>(lengths.length).fill(0);
  let source = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[source];
    for (let axis = lengths.length - 1; axis >= 0; axis--) {
      source += steps[axis];
      if (++index[axis] < lengths[axis]) break;
      source -= steps[axis] * lengths[axis];
      index[axis] = 0;
    }
  }
  return out;
}

type FourAxes = readonly [number, number, number, number];

/** [n, c, h, w] to [n, h, w, c]; `shape` is that of the data. */
export const toChannelsLast = (data: Float32Array, shape: FourAxes) => permute(data, shape, [0, 2, 3, 1]);

/** [n, h, w, c] to [n, c, h, w]; `shape` is that of the result. */
export const toChannelsFirst = (data: Float32Array, [n, c, h, w]: FourAxes) =>
  permute(data, [n, h, w, c], [0, 3, 1, 2]);

/** ONNX's kernels [oc, ic, kh, kw] to TensorFlow's [kh, kw, ic, oc]. */
export const toTensorFlowKernel = (data: Float32Array, shape: FourAxes) => permute(data, shape, [2, 3, 1, 0]);

/** The way back; `shape` is that of the result. */
export const toOnnxKernel = (data: Float32Array, [oc, ic, kh, kw]: FourAxes) =>
  permute(data, [kh, kw, ic, oc], [3, 2, 0, 1]);
