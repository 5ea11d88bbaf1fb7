import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/compress/recipe.ts';
import { InputError } from '../../src/graph/errors.ts';

const minimal = { stages: [{ kind: 'prune', sparsity: 0.5 }] };

describe('a recipe', () => {
  it('gets its defaults and a name for every stage', () => {
    const recipe = parseRecipe(JSON.stringify(minimal), 'r.json');
    expect(recipe.stages[0]).toMatchObject({
      name: '1-prune',
      scope: 'global',
      importance: 'taylor',
      schedule: { kind: 'one-shot' },
    });
    expect(recipe.seed).toBe(1);
  });

  it.each([
    ['{', 'is not JSON'],
    ['[]', ''],
    ['{"stages": []}', 'stages'],
    ['{"stages": [{"kind": "prune"}]}', 'stages.0.sparsity'],
    ['{"stages": [{"kind": "prune", "sparsity": 1.5}]}', 'stages.0.sparsity'],
    ['{"stages": [{"kind": "prune", "sparsity": "much"}]}', 'stages.0.sparsity'],
    ['{"stages": [{"kind": "melt"}]}', 'stages.0.kind'],
    ['{"stages": [{"kind": "quantize", "weights": {"bits": 9}}]}', 'stages.0.weights.bits'],
    ['{"stages": [{"kind": "quantize", "weights": {"bitts": 4}}]}', 'stages.0.weights.bitts'],
    ['{"stages": [{"kind": "train", "training": {"epochs": -1}}]}', 'stages.0.training.epochs'],
    [
      '{"stages": [{"kind": "train", "training": {"epochs": 1, "optimizer": {"kind": "sgd"}}}]}',
      'stages.0.training.optimizer.learningRate',
    ],
    ['{"stages": [{"kind": "train", "training": {"epochs": 1, "batch": 1e12}}]}', 'stages.0.training.batch'],
    ['{"seed": -1, "stages": [{"kind": "prune", "sparsity": 0.5}]}', 'seed'],
    [
      '{"stages": [{"kind": "prune", "name": "a", "sparsity": 0.5}, {"kind": "prune", "name": "a", "sparsity": 0.6}]}',
      'stages.1.name',
    ],
  ])('names the field that is wrong: %s', (text, field) => {
    let error: unknown;
    try {
      parseRecipe(text, 'r.json');
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain('r.json');
    expect((error as Error).message).toContain(field);
    expect((error as Error).message).not.toContain('\n');
  });
});
