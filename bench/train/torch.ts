import type { Contender } from '../contender.ts';
import { type Torch, torchTraining } from '../peers/torch.ts';
import { asFloats, CHECKED_STEPS, LEARNING_RATE, MOMENTUM, makeBatch } from './batch.ts';
import type { TrainingProblem } from './networks.ts';

/** The same network from the same weights; autograd and torch.optim.SGD. */
export function trainTorch(torch: Torch, problem: TrainingProblem): Contender {
  const { graph, batch, sample, steps } = problem;
  const data = makeBatch(problem);
  return torchTraining(torch, graph, {
    images: { shape: [batch, ...sample], data: asFloats(data).x },
    labels: [...data.labels],
    rate: LEARNING_RATE,
    momentum: MOMENTUM,
    block: steps,
    checked: CHECKED_STEPS,
  });
}
