import { fileChecksum } from '../format/checksum.ts';
import { type ContainerTensor, readContainer, writeContainer } from '../format/safetensors.ts';
import { InputError } from '../graph/errors.ts';

/**
 * A point in a run from which it continues to the same bits: which stage, which step of it, and every buffer that the
 * steps so far have changed. A safetensors container, like the model files.
 */
export interface Checkpoint {
  /** Of recipe, model and data: a checkpoint of another run is refused. */
  fingerprint: string;
  stage: number;
  /** Steps of the stage that are done. */
  step: number;
  /** Wall time spent on the stage so far, seconds. */
  seconds: number;
  /** Raw contents by buffer name. */
  buffers: Map<string, Uint8Array>;
}

export function encodeCheckpoint({ fingerprint, stage, step, seconds, buffers }: Checkpoint): Uint8Array {
  const tensors: ContainerTensor[] = [...buffers]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, bytes]) => ({ name, dtype: 'U8', shape: [bytes.length], bytes }));
  const head = JSON.stringify({ fingerprint, stage, step, seconds });
  const checksum = fileChecksum(
    head,
    '',
    tensors.map(({ bytes }) => bytes),
  );
  return writeContainer(
    [
      ['wgslim.checkpoint', head],
      ['wgslim.crc32', checksum],
    ],
    tensors,
  );
}

/** @throws InputError for anything but a checkpoint, whole and undamaged */
export function decodeCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  const { metadata, tensors, payload } = readContainer(bytes, name);
  const text = metadata.get('wgslim.checkpoint') ?? '';
  let head: Partial<Checkpoint> | null;
  try {
    head = JSON.parse(text) as Partial<Checkpoint> | null;
  } catch {
    throw new InputError(`${name} is no checkpoint of a run: wgslim.checkpoint is missing or broken`);
  }
  const { fingerprint, stage, step, seconds } = head ?? {};
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof fingerprint !== 'string' || !whole(stage) || !whole(step) || !Number.isFinite(seconds)) {
    throw new InputError(`${name}: wgslim.checkpoint lacks fingerprint, stage, step or seconds`);
  }
  if (fileChecksum(text, '', [payload]) !== metadata.get('wgslim.crc32')) {
    throw new InputError(`${name}: wgslim.crc32 does not fit the content: the checkpoint is damaged`);
  }
  return {
    fingerprint,
    stage,
    step,
    seconds: seconds as number,
    buffers: new Map([...tensors].map(([key, tensor]) => [key, tensor.bytes])),
  };
}
