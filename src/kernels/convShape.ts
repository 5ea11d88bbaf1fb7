/** A 2-D convolution: x = [n, ic, ih, iw], weights = [oc, ic / groups, kh, kw], y = [n, oc, oh, ow]. */
export interface ConvShape {
  n: number;
  ic: number;
  ih: number;
  iw: number;
  oc: number;
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
  groups: number;
}

/** Weights of the shape. */
export function weightElements({ oc, ic, groups, kh, kw }: ConvShape): number {
  return oc * (ic / groups) * kh * kw;
}
