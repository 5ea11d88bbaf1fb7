import { InputError } from '../graph/errors.ts';
import { pause } from './pace.ts';

/** Where a compressed file comes from. An address is fetched; the bytes of an array are copied. */
export type ModelSource = string | URL | Response | ReadableStream<Uint8Array> | ArrayBuffer | Uint8Array | Blob;

/** A file that could not be fetched: the address, the status, the network. */
export class FetchError extends Error {
  override name = 'FetchError';
  /** Of the HTTP answer; undefined where there was none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

export interface OpenedSource {
  /** For messages. */
  name: string;
  /** Where it is known from the start. */
  bytes?: number;
  pieces: AsyncIterable<Uint8Array>;
}

/** Short enough to checksum well within a frame. */
export const PIECE = 2 ** 18;

export async function openSource(source: ModelSource, signal?: AbortSignal): Promise<OpenedSource> {
  signal?.throwIfAborted();
  if (typeof source === 'string' || source instanceof URL) {
    return openResponse(await request(String(source), signal), String(source), signal);
  }
  if (typeof Response !== 'undefined' && source instanceof Response) {
    return openResponse(source, source.url || 'the response', signal);
  }
  if (typeof Blob !== 'undefined' && source instanceof Blob) {
    const name = 'name' in source ? String(source.name) : 'the file';
    return { name, bytes: source.size, pieces: readStream(source.stream(), signal) };
  }
  if (source instanceof ReadableStream) return { name: 'the model', pieces: readStream(source, signal) };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    const bytes =
      source instanceof ArrayBuffer
        ? new Uint8Array(source)
        : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return { name: 'the model', bytes: bytes.length, pieces: cut(bytes, signal) };
  }
  throw new InputError('load takes an address, a Response, a ReadableStream, an ArrayBuffer, a Uint8Array or a Blob');
}

async function request(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw new FetchError(`${url} cannot be fetched: ${(error as Error).message}`, undefined, error);
  }
}

function openResponse(response: Response, name: string, signal: AbortSignal | undefined): OpenedSource {
  if (!response.ok) {
    throw new FetchError(`${name} cannot be fetched: ${response.status} ${response.statusText}`, response.status);
  }
  if (!response.body) throw new FetchError(`${name} has no content`, response.status);
  return { name, pieces: readStream(response.body, signal) };
}

async function* readStream(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  const abort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener('abort', abort);
  let done = false;
  try {
    for (;;) {
      const next = await reader.read();
      signal?.throwIfAborted();
      done = next.done;
      if (next.done) return;
      if (!(next.value instanceof Uint8Array))
        throw new InputError('The stream must give pieces of bytes (Uint8Array)');
      // A file or a cache may give all of it at once.
      for (let at = 0; at < next.value.length; at += PIECE) yield next.value.subarray(at, at + PIECE);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof InputError) throw error;
    throw new FetchError(`The model broke off: ${(error as Error).message}`, undefined, error);
  } finally {
    signal?.removeEventListener('abort', abort);
    if (!done) abort();
  }
}

/** Copies, since the caller's array may change or move to a worker while the file's bytes are kept. */
async function* cut(bytes: Uint8Array, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    yield bytes.slice(at, at + PIECE);
    await pause();
    signal?.throwIfAborted();
  }
}
