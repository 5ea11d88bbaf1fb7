/** The first `count` entries of an IDX file of bytes, as an IDX file. */
export function takeIdx(file: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const header = 4 + 4 * (file[3] as number);
  const each = (file.length - header) / view.getUint32(4);
  const taken = new Uint8Array(file.subarray(0, header + count * each));
  new DataView(taken.buffer).setUint32(4, count);
  return taken;
}
