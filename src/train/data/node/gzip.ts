import { constants, gunzipSync } from 'node:zlib';
import { InputError } from '../../../graph/errors.ts';

/** Deflate cannot do better than 1032 bytes out for one byte in, so a larger claim is a lie. */
export const MAX_DEFLATE_RATIO = 1032;

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Unpacks a gzip file whose first bytes say how long the content is, without ever holding more than that.
 * @param file for messages
 * @param headerBytes how many unpacked bytes `claimedBytes` needs
 * @param claimedBytes length of the whole content according to its header; throws InputError for a bad header
 */
export function gunzipByClaim(
  file: string,
  packed: Uint8Array,
  headerBytes: number,
  claimedBytes: (header: Uint8Array) => number,
): Uint8Array {
  const header = firstBytes(file, packed, headerBytes);
  const claim = claimedBytes(header);
  if (claim > packed.length * MAX_DEFLATE_RATIO) {
    throw new InputError(
      `${file}: the header claims ${claim} bytes, more than ${packed.length} packed bytes can hold.`,
    );
  }
  try {
    // One byte above the claim lets the reader see, and refuse, content that goes on after it.
    return gunzipSync(packed, { maxOutputLength: claim + 1 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException)?.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new InputError(`${file}: unpacks to more than the ${claim} bytes that its header claims.`);
    }
    throw damaged(file, error);
  }
}

function firstBytes(file: string, packed: Uint8Array, count: number): Uint8Array {
  // A small piece first: it unpacks to a megabyte at the most. The gzip header may hold a long file name, though.
  for (const piece of [1024, 65536 + 1024]) {
    try {
      const start = gunzipSync(packed.subarray(0, piece), { finishFlush: constants.Z_SYNC_FLUSH });
      if (start.length >= count || piece >= packed.length) return start.subarray(0, count);
    } catch (error) {
      throw damaged(file, error);
    }
  }
  return new Uint8Array(0);
}

function damaged(file: string, error: unknown): InputError {
  return new InputError(
    `${file}: the gzip data are damaged (${error instanceof Error ? error.message : String(error)}).`,
  );
}
