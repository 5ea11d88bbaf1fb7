import { operand, type Reference } from './reference.ts';

/**
 * Operators that only rename the shape: the elements stay as they are, so the reference keeps the input's shape (the
 * shape rule itself is checked by test/graph).
 */
const same: Reference = (call) => [operand(call, 0)];

export const viewReferences: Readonly<Record<string, Reference>> = {
  Reshape: same,
  Flatten: same,
  Squeeze: same,
  Unsqueeze: same,
  Identity: same,
  Dropout: same,
};
