// biome-ignore-all lint/suspicious/noExplicitAny: parsed JSON that is broken on purpose.
import { crc32 } from 'node:zlib';

/** Changes to a file that leave it consistent as far as the test wants, so that the checks behind the checksum run. */

export function split(file: Uint8Array) {
  const buffer = Buffer.from(file);
  const end = 8 + Number(buffer.readBigUInt64LE(0));
  return { header: JSON.parse(buffer.toString('utf8', 8, end)), payload: buffer.subarray(end) };
}

/** Puts a header and a payload together, unpadded, with a valid checksum. */
export function assemble(header: any, payload: Uint8Array): Uint8Array {
  const { 'wgslim.graph': graph = '', 'wgslim.meta': meta = '' } = header.__metadata__ ?? {};
  if (header.__metadata__) {
    const checksum = crc32(payload, crc32(String(meta), crc32(String(graph))));
    header.__metadata__['wgslim.crc32'] = checksum.toString(16).padStart(8, '0');
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return new Uint8Array(Buffer.concat([length, json, payload]));
}

/** The file with its header changed in place. */
export function withHeader(file: Uint8Array, change: (header: any) => unknown): Uint8Array {
  const { header, payload } = split(file);
  change(header);
  return assemble(header, payload);
}

/** The file with its graph JSON changed in place. */
export function withGraph(file: Uint8Array, change: (graph: any) => unknown): Uint8Array {
  return withHeader(file, ({ __metadata__ }) => {
    const graph = JSON.parse(__metadata__['wgslim.graph']);
    change(graph);
    __metadata__['wgslim.graph'] = JSON.stringify(graph);
  });
}

/** The file with a checksum that fits its content. */
export function reseal(file: Uint8Array): Uint8Array {
  return withHeader(file, () => undefined);
}
