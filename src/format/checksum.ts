import { continueCrc32, crc32 } from './crc32.ts';

/** Eight hex digits: CRC-32 of the graph's JSON, the meta JSON (both UTF-8) and the payload. */
export function fileChecksum(graph: string, meta: string, payload: readonly Uint8Array[]): string {
  return checksumText(payload.reduce(continueCrc32, textChecksum(graph, meta)));
}

/** CRC-32 of the two texts, before the payload. */
export function textChecksum(graph: string, meta: string): number {
  const utf8 = new TextEncoder();
  return crc32(utf8.encode(graph), utf8.encode(meta));
}

export function checksumText(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
