import { array64, operand, type Reference } from './reference.ts';

/** y, running mean and running variance by the ONNX definition of BatchNormalization. */
const batchNormalization: Reference = (call) => {
  const x = operand(call, 0);
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((index) => operand(call, index));
  const [n = 1, c = 1, ...rest] = x.shape;
  const plane = rest.reduce((product, length) => product * length, 1);
  const epsilon = Number(call.attributes.epsilon ?? 1e-5);
  const momentum = Number(call.attributes.momentum ?? 0.9);
  const usesBatch = call.training || Number(call.attributes.training_mode ?? 0) !== 0;
  const [y, newMean, newVariance] = [array64(x.shape), array64([c]), array64([c])];
  for (let channel = 0; channel < c; channel++) {
    const each = (visit: (at: number) => void) => {
      for (let image = 0; image < n; image++) {
        for (let p = 0; p < plane; p++) visit((image * c + channel) * plane + p);
      }
    };
    let m = mean!.data[channel]!;
    let v = variance!.data[channel]!;
    if (usesBatch) {
      const count = n * plane;
      let sum = 0;
      each((at) => (sum += x.data[at]!));
      const [oldMean, oldVariance] = [m, v];
      m = sum / count;
      let squares = 0;
      each((at) => (squares += (x.data[at]! - m) ** 2));
      v = squares / count;
      newMean.data[channel] = momentum * oldMean + (1 - momentum) * m;
      newVariance.data[channel] = momentum * oldVariance + (1 - momentum) * v;
    }
    each((at) => {
      y.data[at] = ((x.data[at]! - m) / Math.sqrt(v + epsilon)) * scale!.data[channel]! + shift!.data[channel]!;
    });
  }
  return usesBatch ? [y, newMean, newVariance] : [y];
};

export const batchNormReferences: Readonly<Record<string, Reference>> = { BatchNormalization: batchNormalization };
