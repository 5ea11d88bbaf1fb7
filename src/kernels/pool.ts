import {
  averagePoolBackwardShader,
  averagePoolShader,
  maxPoolArgmaxShader,
  maxPoolBackwardShader,
  maxPoolShader,
  pool2x2BackwardShader,
  pool2x2Shader,
} from './generated/pool.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spread } from './spread.ts';

type Floats = Operand<'f32'>;

/**
 * Windows of a pooling: x [n, c, ih, iw], y [n, c, oh, ow]. Window (oy, ox) begins at (oy·strideH − padTop,
 * ox·strideW − padLeft) and may reach past the input on every side; what lies beyond is no part of it.
 */
export interface PoolWindows {
  n: number;
  c: number;
  ih: number;
  iw: number;
  oh: number;
  ow: number;
  kh: number;
  kw: number;
  strideH: number;
  strideW: number;
  dilH: number;
  dilW: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
  /** AveragePool: the divisor counts padding too, up to padBottom and padRight. */
  countIncludePad: boolean;
}

/** Whether some window reaches past the input, so that its elements must be tested. */
export function isPadded(w: PoolWindows): boolean {
  const end = (out: number, stride: number, kernel: number, dilation: number) =>
    (out - 1) * stride + (kernel - 1) * dilation + 1;
  return (
    w.padTop > 0 ||
    w.padLeft > 0 ||
    end(w.oh, w.strideH, w.kh, w.dilH) > w.ih ||
    end(w.ow, w.strideW, w.kw, w.dilW) > w.iw
  );
}

/** Whether windows are the 2×2 blocks of the input, each element in exactly one: that has kernels of its own. */
export function isBlocksOf2x2(w: PoolWindows): boolean {
  const blocks = (kernel: number, stride: number, dilation: number, input: number, output: number) =>
    kernel === 2 && stride === 2 && dilation === 1 && input === 2 * output;
  return blocks(w.kh, w.strideH, w.dilH, w.ih, w.oh) && blocks(w.kw, w.strideW, w.dilW, w.iw, w.ow) && !isPadded(w);
}

const windowTunables = (w: PoolWindows) => ({
  KH: w.kh,
  KW: w.kw,
  STRIDE_H: w.strideH,
  STRIDE_W: w.strideW,
  DIL_H: w.dilH,
  DIL_W: w.dilW,
});

const forwardArgs = (w: PoolWindows, span: number) => ({
  n: w.n * w.c * w.oh * w.ow,
  span,
  ih: w.ih,
  iw: w.iw,
  ow: w.ow,
  ohw: w.oh * w.ow,
  pad_top: w.padTop,
  pad_left: w.padLeft,
});

const backwardArgs = (w: PoolWindows, span: number) => ({
  n: w.n * w.c * w.ih * w.iw,
  span,
  iw: w.iw,
  ihw: w.ih * w.iw,
  oh: w.oh,
  ow: w.ow,
  pad_top: w.padTop,
  pad_left: w.padLeft,
});

const divisorArgs = (w: PoolWindows) => ({ counted_h: w.ih + w.padBottom, counted_w: w.iw + w.padRight });

/** y = the largest element of every window of x; −∞ for a window that lies wholly in the padding. */
export function maxPool(recorder: Recorder, { x, y, windows }: { x: Floats; y: Floats; windows: PoolWindows }): void {
  if (isBlocksOf2x2(windows)) {
    blocks(recorder, { x, y, ow: windows.ow, mean: false });
    return;
  }
  const { wg, span, workgroups } = spread(recorder.capabilities, y.elements);
  recorder.dispatch(maxPoolShader, {
    operands: { x, y },
    args: { ...forwardArgs(windows, span), lowest: Number.NEGATIVE_INFINITY },
    tunables: { ...windowTunables(windows), WG: wg, PADDED: isPadded(windows) },
    workgroups,
    label: 'max pool',
  });
}

/** dx = for every element the sum of dy over the windows that it is the first largest element of. */
export function maxPoolBackward(
  recorder: Recorder,
  { x, dy, dx, windows }: { x: Floats; dy: Floats; dx: Floats; windows: PoolWindows },
): void {
  if (isBlocksOf2x2(windows)) {
    blocksBackward(recorder, { x, dy, dx, ow: windows.ow, mean: false });
    return;
  }
  const argmax = recorder.temporary('u32', dy.elements, 'argmax');
  const outputs = spread(recorder.capabilities, dy.elements);
  recorder.dispatch(maxPoolArgmaxShader, {
    operands: { x, argmax },
    args: { ...forwardArgs(windows, outputs.span), lowest: Number.NEGATIVE_INFINITY },
    tunables: { ...windowTunables(windows), WG: outputs.wg, PADDED: isPadded(windows) },
    workgroups: outputs.workgroups,
    label: 'argmax',
  });
  const inputs = spread(recorder.capabilities, dx.elements);
  recorder.dispatch(maxPoolBackwardShader, {
    operands: { dy, argmax, dx },
    args: backwardArgs(windows, inputs.span),
    tunables: { ...windowTunables(windows), WG: inputs.wg },
    workgroups: inputs.workgroups,
    label: 'max pool gradient',
  });
}

/** y = the mean of every window of x. */
export function averagePool(
  recorder: Recorder,
  { x, y, windows }: { x: Floats; y: Floats; windows: PoolWindows },
): void {
  if (isBlocksOf2x2(windows)) {
    blocks(recorder, { x, y, ow: windows.ow, mean: true });
    return;
  }
  const { wg, span, workgroups } = spread(recorder.capabilities, y.elements);
  recorder.dispatch(averagePoolShader, {
    operands: { x, y },
    args: { ...forwardArgs(windows, span), ...divisorArgs(windows) },
    tunables: {
      ...windowTunables(windows),
      WG: wg,
      PADDED: isPadded(windows),
      COUNT_PADDING: windows.countIncludePad,
    },
    workgroups,
    label: 'average pool',
  });
}

/** dx = for every element the sum of dy / divisor over the windows that it is in. */
export function averagePoolBackward(
  recorder: Recorder,
  { dy, dx, windows }: { dy: Floats; dx: Floats; windows: PoolWindows },
): void {
  // The mean's gradient does not read x; a binding has to hold something.
  if (isBlocksOf2x2(windows)) {
    blocksBackward(recorder, { x: dy, dy, dx, ow: windows.ow, mean: true });
    return;
  }
  const { wg, span, workgroups } = spread(recorder.capabilities, dx.elements);
  recorder.dispatch(averagePoolBackwardShader, {
    operands: { dy, dx },
    args: { ...backwardArgs(windows, span), ...divisorArgs(windows), ih: windows.ih },
    tunables: {
      ...windowTunables(windows),
      WG: wg,
      PADDED: isPadded(windows),
      COUNT_PADDING: windows.countIncludePad,
    },
    workgroups,
    label: 'average pool gradient',
  });
}

interface Blocks {
  x: Floats;
  ow: number;
  mean: boolean;
}

function blocks(recorder: Recorder, { x, y, ow, mean }: Blocks & { y: Floats }): void {
  const { wg, span, workgroups } = spread(recorder.capabilities, y.elements);
  recorder.dispatch(pool2x2Shader, {
    operands: { x, y },
    args: { n: y.elements, span, ow },
    tunables: { WG: wg, MEAN: mean },
    workgroups,
    label: mean ? 'average pool' : 'max pool',
  });
}

function blocksBackward(recorder: Recorder, { x, dy, dx, ow, mean }: Blocks & { dy: Floats; dx: Floats }): void {
  const { wg, span, workgroups } = spread(recorder.capabilities, dy.elements);
  recorder.dispatch(pool2x2BackwardShader, {
    operands: { dy, x, dx },
    args: { n: dy.elements, span, ow },
    tunables: { WG: wg, MEAN: mean },
    workgroups,
    label: mean ? 'average pool gradient' : 'max pool gradient',
  });
}
