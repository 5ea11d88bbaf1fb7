/** A recipe: the stages of a compression, as JSON that a person writes. Its schema, defaults and error messages. */
import * as v from 'valibot';
import { InputError } from '../graph/errors.ts';
import { pruneSchema } from './stages/prune.ts';
import { quantizeSchema } from './stages/quantize.ts';
import { trainSchema } from './stages/train.ts';

const recipe = v.strictObject({
  name: v.optional(v.pipe(v.string(), v.nonEmpty()), 'recipe'),
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff)), 1),
  /** What the numbers that are not quantized are stored as. */
  store: v.optional(v.picklist(['float16', 'float32']), 'float16'),
  stages: v.pipe(v.array(v.variant('kind', [pruneSchema, quantizeSchema, trainSchema])), v.minLength(1)),
});

export type Recipe = v.InferOutput<typeof recipe>;
export type Stage = Recipe['stages'][number];

/**
 * Reads a recipe and fills in its defaults.
 * @throws InputError naming `fileName`, the field by its path, and what is wrong with it
 */
export function parseRecipe(text: string, fileName: string): Recipe {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${fileName} is not JSON: ${oneLine((error as Error).message)}`);
  }
  const result = v.safeParse(recipe, json);
  if (!result.success) {
    const issue = result.issues[0];
    const path = v.getDotPath(issue);
    throw new InputError(oneLine(`${fileName}: ${path ? `${path}: ` : ''}${issue.message}`));
  }
  const names = new Set<string>();
  result.output.stages.forEach((stage, index) => {
    stage.name ??= `${index + 1}-${stage.kind}`;
    if (names.has(stage.name))
      throw new InputError(`${fileName}: stages.${index}.name: '${stage.name}' names two stages`);
    names.add(stage.name);
  });
  return result.output;
}

/** Messages repeat what stands in the file, which may be long and run over lines. */
function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ');
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}
