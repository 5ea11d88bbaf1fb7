/** The form's settings as a recipe (docs/recipes.md). */

export interface Settings {
  /** Percent of the weights that end at zero. */
  sparsity: number;
  bits: number;
  /** Passes over the training images, in all stages together. */
  epochs: number;
}

export function recipeOf({ sparsity, bits, epochs }: Settings): string {
  const training = (share: number, learningRate: number, kind: 'constant' | 'cosine') => ({
    epochs: share * epochs,
    batch: 128,
    optimizer: { kind: 'adamw', learningRate },
    schedule: { kind },
    distill: { temperature: 3, alpha: 0.9 },
  });
  const prune = {
    name: 'prune',
    kind: 'prune',
    sparsity: sparsity / 100,
    schedule: { kind: 'cubic', initial: Math.min(0.4, sparsity / 200), until: 0.7, every: 8 },
    training: training(0.5, 0.002, 'constant'),
  };
  const tune = { name: 'fine-tune', kind: 'train', training: training(0.2, 0.002, 'cosine') };
  const quantize = { name: 'quantize', kind: 'quantize', weights: { bits }, training: training(0.3, 0.001, 'cosine') };
  return JSON.stringify({
    name: `${sparsity} % pruned, ${bits} bits`,
    stages: [...(sparsity > 0 ? [prune, tune] : []), quantize],
  });
}
