/** Invocations of a workgroup that works on lines of data, LANES of them on each; see shaders/common/lines.wgsl. */
export const LINE_WG = 64;

/** Lines that one workgroup takes. */
export function linesPerGroup(lanes: number): number {
  return LINE_WG / lanes;
}
