/**
 * `labels.tsv` beside images: one line per image, path relative to the folder, a tab, the class. The class is a number
 * from 0, or a name out of `classes.txt` (one name a line, line 1 is class 0). Blank lines and lines that begin with #
 * do not count.
 */
import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { InputError } from '../../../graph/errors.ts';
import { MAX_LABEL } from '../dataset.ts';
import { readInput, statInput } from './files.ts';
import type { LabelledFile } from './imageDataset.ts';

const MAX_TEXT_BYTES = 2 ** 28;

export interface Labels {
  files: LabelledFile[];
  classes: number;
  classNames?: string[];
}

/**
 * Reads a folder's `labels.tsv`.
 * @param limit lines after this many images are checked too, but their files need not be there
 */
export async function readLabelsFile(folder: string, classNames?: string[], limit = Infinity): Promise<Labels> {
  const file = join(folder, 'labels.tsv');
  const text = new TextDecoder().decode(await readInput(file, MAX_TEXT_BYTES));
  const numbers = new Map(classNames?.map((name, number) => [name, number]));
  const lines = new Map<string, number>();
  const files: LabelledFile[] = [];
  let most = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const place = `${file}: line ${index + 1}`;
    const fields = line.split('\t');
    if (fields.length !== 2) throw new InputError(`${place}: has ${fields.length} fields, not file, tab, class.`);
    const [path, label] = fields.map((field) => field.trim()) as [string, string];
    const number = labelNumber(place, label, numbers);
    const before = lines.get(path);
    if (before !== undefined) throw new InputError(`${place}: "${path}" is also on line ${before}.`);
    lines.set(path, index + 1);
    most = Math.max(most, number);
    checkInside(place, path);
    files.push({ file: join(folder, path), label: number });
  }
  if (files.length === 0) throw new InputError(`${file}: names no images.`);
  await checkFiles(file, folder, files.slice(0, limit));
  return { files, classes: classNames?.length ?? most + 1, ...(classNames && { classNames }) };
}

/** The names in a folder's `classes.txt`, by number. */
export async function readClassNames(folder: string): Promise<string[]> {
  const file = join(folder, 'classes.txt');
  const names = new TextDecoder()
    .decode(await readInput(file, MAX_TEXT_BYTES))
    .trimEnd()
    .split(/\r?\n/);
  const seen = new Map<string, number>();
  for (const [index, line] of names.entries()) {
    const name = line.trim();
    names[index] = name;
    if (name === '') throw new InputError(`${file}: line ${index + 1} is empty, it should name class ${index}.`);
    const before = seen.get(name);
    if (before !== undefined) throw new InputError(`${file}: line ${index + 1}: "${name}" is also on line ${before}.`);
    seen.set(name, index + 1);
  }
  if (names.length > MAX_LABEL + 1) throw new InputError(`${file}: names more than ${MAX_LABEL + 1} classes.`);
  return names;
}

function labelNumber(place: string, label: string, names: Map<string, number>): number {
  const named = names.get(label);
  if (named !== undefined) return named;
  if (!/^-?\d{1,15}$/.test(label)) {
    const known =
      names.size > 0 ? `not among the ${names.size} of classes.txt` : 'no number, and there is no classes.txt';
    throw new InputError(`${place}: the class "${label.slice(0, 80)}" is ${known}.`);
  }
  const last = names.size > 0 ? names.size - 1 : MAX_LABEL;
  const number = Number(label);
  if (number < 0 || number > last) throw new InputError(`${place}: the class ${label} is not in 0 .. ${last}.`);
  return number;
}

function checkInside(place: string, path: string): void {
  const steps = path.split(/[\\/]/);
  if (path === '' || path.includes('\0') || isAbsolute(path) || /^[A-Za-z]:/.test(path) || steps.includes('..')) {
    throw new InputError(`${place}: "${path.slice(0, 200)}" does not lie in the folder of labels.tsv.`);
  }
}

/** Every image exists, and no symbolic link leads out of the folder. */
async function checkFiles(labelsFile: string, folder: string, files: readonly LabelledFile[]): Promise<void> {
  const root = await realpath(folder);
  for (const { file } of files) {
    const info = await statInput(file);
    if (!info.isFile()) throw new InputError(`${file}: is named in ${labelsFile} but is not a file.`);
    const inside = relative(root, await realpath(file));
    if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
      throw new InputError(`${file}: is a link that leaves the folder of ${labelsFile}.`);
    }
  }
}
