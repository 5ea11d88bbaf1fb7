const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 of the concatenated parts (the one of zip and PNG: polynomial 0xEDB88320 reflected, initial and final ~0). */
export function crc32(...parts: Uint8Array[]): number {
  return parts.reduce((crc, part) => continueCrc32(crc, part), 0);
}

/** CRC-32 of what had the CRC-32 `before`, followed by `part`. */
export function continueCrc32(before: number, part: Uint8Array): number {
  let crc = ~before;
  for (let i = 0; i < part.length; i++) crc = TABLE[(crc ^ part[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
