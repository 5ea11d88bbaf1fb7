import { InvalidArgumentError } from 'commander';
import { PEERS, type PeerKey } from './adapters.ts';

/** Peers as a list with commas. */
export function parsePeers(text: string): PeerKey[] {
  const keys = text.split(',');
  const unknown = keys.find((key) => !(PEERS as readonly string[]).includes(key));
  if (unknown !== undefined) throw new InvalidArgumentError(`It must be a list out of ${PEERS.join(', ')}.`);
  return keys as PeerKey[];
}
