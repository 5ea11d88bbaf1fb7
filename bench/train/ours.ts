import type { Gpu } from '../../src/gpu/gpu.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { Trainer } from '../../src/train/trainer.ts';
import type { Contender } from '../contender.ts';
import { OURS, profilePlan } from '../ours.ts';
import { CHECKED_STEPS, LEARNING_RATE, MOMENTUM, makeBatch } from './batch.ts';
import { CLASSES, type TrainingProblem } from './networks.ts';

export async function trainOurs(gpu: Gpu, problem: TrainingProblem): Promise<Contender> {
  const { graph, batch, sample, steps } = problem;
  const data = makeBatch(problem);
  const trainer = await Trainer.create(gpu, {
    graph,
    batch,
    format: { name: 'bench', kind: 'uint8', sampleShape: sample, classes: CLASSES },
    preprocess: defaultPreprocess(),
    augmented: false,
    batchNorm: 'train',
    labelSmoothing: 0,
    optimizer: {
      kind: 'sgd',
      learningRate: LEARNING_RATE,
      momentum: MOMENTUM,
      nesterov: false,
      weightDecay: 0,
      scaleRate: 1,
    },
  });
  let step = 0;
  const block = async (length: number) => {
    for (let i = 0; i < length; i++) trainer.step(data, step++, LEARNING_RATE);
    return (await trainer.readMetrics()).map(({ loss }) => loss);
  };
  return {
    name: OURS,
    steps,
    check: async () => Float32Array.from(await block(CHECKED_STEPS)),
    run: async () => Float32Array.of((await block(steps)).at(-1) as number),
    profile: () => profilePlan(trainer.plan),
    plan: trainer.plan,
    prepare: () => trainer.prepare(data, step++, LEARNING_RATE),
    dispose: () => trainer.dispose(),
  };
}
