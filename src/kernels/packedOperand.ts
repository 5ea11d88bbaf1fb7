import type { Operand } from './kernel.ts';

/** Packed weights in GPU memory: the words that a packer made, and what it said of their layout. */
export type PackedOperand<W extends { readonly words: Uint32Array }> = Omit<W, 'words'> & {
  readonly operand: Operand<'u32'>;
};
