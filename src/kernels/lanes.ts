/** Invocations of a workgroup that works on rows, LANES of them on each. */
const WG = 64;

/**
 * How a workgroup is shared out among rows of `length` elements: LANES (a power of two) invocations on each of ROWS
 * rows. Short rows take few lanes, so that none idles.
 */
export function rowLanes(length: number): { LANES: number; ROWS: number; WG: number } {
  let lanes = 1;
  while (lanes < WG && 4 * lanes < length) lanes *= 2;
  return { LANES: lanes, ROWS: WG / lanes, WG };
}
