/**
 * Something that the user handed us is wrong: a file, a field of it, a flag. The message is one sentence that names the
 * file (where there is one) and the field. The command line turns it into exit code 2.
 */
export class InputError extends Error {
  override name = 'InputError';
}
