import { initializerRoles } from '../engine/parameters.ts';
import { fileChecksum } from '../format/checksum.ts';
import { decodeModel } from '../format/decodeModel.ts';
import { encodeModel } from '../format/encodeModel.ts';
import { type ContainerTensor, readContainer, writeContainer } from '../format/safetensors.ts';
import { InputError } from '../graph/errors.ts';
import type { CompressionState } from './state.ts';

/**
 * What a finished stage hands on, as one safetensors file: the trained graph (a wgslim file with every number in
 * float32, as one tensor) and the masks. Exact: a run continued from it goes on to the same bits.
 */
export function encodeState({ graph, masks }: CompressionState, fingerprint: string): Uint8Array {
  const model = encodeModel(graph, new Map());
  const tensors: ContainerTensor[] = [
    { name: 'model', dtype: 'U8', shape: [model.length], bytes: model },
    ...[...masks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, mask]) => ({ name: `mask ${name}`, dtype: 'U8', shape: [mask.length], bytes: mask })),
  ];
  const checksum = fileChecksum(
    fingerprint,
    '',
    tensors.map(({ bytes }) => bytes),
  );
  return writeContainer(
    [
      ['wgslim.state', fingerprint],
      ['wgslim.crc32', checksum],
    ],
    tensors,
  );
}

/** @throws InputError for anything but the state of the run with that fingerprint, whole and undamaged */
export function decodeState(bytes: Uint8Array, name: string, fingerprint: string): CompressionState {
  const { metadata, tensors, payload } = readContainer(bytes, name);
  if (metadata.get('wgslim.state') !== fingerprint) {
    throw new InputError(`${name} belongs to a run with another model, recipe or data: choose another run folder`);
  }
  if (fileChecksum(fingerprint, '', [payload]) !== metadata.get('wgslim.crc32')) {
    throw new InputError(`${name}: wgslim.crc32 does not fit the content: the file is damaged`);
  }
  const model = tensors.get('model');
  if (!model) throw new InputError(`${name}: the tensor model is missing`);
  const { graph } = decodeModel(model.bytes, { fileName: name });
  const roles = initializerRoles(graph);
  const masks = new Map<string, Uint8Array>();
  for (const [key, tensor] of tensors) {
    if (!key.startsWith('mask ')) continue;
    const weight = key.slice('mask '.length);
    const fits =
      roles.get(weight) === 'weight' &&
      graph.initializers.get(weight)?.data.length === tensor.bytes.length &&
      tensor.bytes.every((kept) => kept <= 1);
    if (!fits) throw new InputError(`${name}: the mask of ${weight} does not fit a weight`);
    masks.set(weight, tensor.bytes.slice());
  }
  return { graph, masks };
}
