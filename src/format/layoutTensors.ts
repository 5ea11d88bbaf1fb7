import type { EncodedTensor } from './encodedTensor.ts';
import { type ContainerTensor, SAFETENSORS_DTYPES } from './safetensors.ts';
import type { ParsedRecord } from './tensorRecord.ts';

/**
 * Which tensors have a safetensors entry of their own. An entry costs about 90 bytes of JSON, so that the small ones
 * (biases, normalisation) lie end to end in one shared entry, the pool, in the order of their records.
 */

export const POOL = 'wgslim.pool';
/** From here on an entry's JSON is less than a tenth of what it describes. */
export const OWN_ENTRY_BYTES = 1024;

/** Names that cannot be an entry's key: safetensors' own, and this format's. */
export function mayOwnEntry(name: string): boolean {
  return name !== '' && name !== '__metadata__' && !name.startsWith('wgslim.');
}

/** How an entry of its own describes a tensor: with its real type and shape where it is plain, else as bytes. */
export function entryType(tensor: EncodedTensor | ParsedRecord): Pick<ContainerTensor, 'dtype' | 'shape'> {
  const { kind, layout, shape, dtype, bytes } = tensor;
  if (kind === 'int' || kind === 'table' || layout !== 'dense') return { dtype: 'U8', shape: [bytes] };
  return { dtype: kind === 'f16' ? 'F16' : SAFETENSORS_DTYPES[dtype], shape };
}
