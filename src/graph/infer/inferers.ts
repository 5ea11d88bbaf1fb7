import type { InferShape } from './common.ts';
import { inferConv } from './conv.ts';
import {
  inferBatchNorm,
  inferBinary,
  inferBroadcast,
  inferClip,
  inferDropout,
  inferSame,
  inferSoftmax,
} from './elementwise.ts';
import { inferConstantOfShape, inferExpand, inferRange, inferShapeOf, inferSize, inferTile } from './generate.ts';
import {
  inferConcat,
  inferFlatten,
  inferGather,
  inferPad,
  inferReshape,
  inferSlice,
  inferSplit,
  inferSqueeze,
  inferTranspose,
  inferUnsqueeze,
} from './layout.ts';
import { inferGemm, inferMatMul } from './matmul.ts';
import { inferGlobalPool, inferPool } from './pool.ts';
import { inferReduce } from './reduce.ts';

const unary = [
  'Relu,LeakyRelu,Sigmoid,Tanh,HardSwish,HardSigmoid,Identity,Cast,CastLike',
  'Abs,Neg,Floor,Ceil,Round,Sqrt,Exp,Log,Reciprocal,Sign,Not,Erf,Elu,Gelu,Softplus',
]
  .join()
  .split(',');
const binary = 'Add,Sub,Mul,Div,Mod,Pow,PRelu,Equal,Less,LessOrEqual,Greater,GreaterOrEqual,And,Or,Xor'.split(',');
const reductions = 'ReduceMean,ReduceSum,ReduceProd,ReduceMax,ReduceMin,ReduceL1,ReduceL2'.split(',');
const group = (ops: readonly string[], infer: InferShape): Record<string, InferShape> =>
  Object.fromEntries(ops.map((op) => [op, infer]));

/** The shape rule of every operator that wgslim executes or folds, in the newest form of its inputs. */
export const inferers: Readonly<Record<string, InferShape>> = {
  ...group(unary, inferSame),
  ...group(binary, inferBinary),
  ...group(reductions, inferReduce),
  ...group(['Where', 'Max', 'Min', 'Sum', 'Mean'], inferBroadcast),
  ...group(['Softmax', 'LogSoftmax'], inferSoftmax),
  ...group(['MaxPool', 'AveragePool'], inferPool),
  ...group(['GlobalAveragePool', 'GlobalMaxPool'], inferGlobalPool),
  Conv: inferConv,
  Gemm: inferGemm,
  MatMul: inferMatMul,
  BatchNormalization: inferBatchNorm,
  Clip: inferClip,
  Dropout: inferDropout,
  Flatten: inferFlatten,
  Reshape: inferReshape,
  Transpose: inferTranspose,
  Squeeze: inferSqueeze,
  Unsqueeze: inferUnsqueeze,
  Concat: inferConcat,
  Split: inferSplit,
  Gather: inferGather,
  Slice: inferSlice,
  Pad: inferPad,
  Shape: inferShapeOf,
  Size: inferSize,
  Expand: inferExpand,
  ConstantOfShape: inferConstantOfShape,
  Range: inferRange,
  Tile: inferTile,
};

/** `inferers` as a function, for those who inject it. */
export function inferShapeOfOperator(op: string): InferShape | undefined {
  return Object.hasOwn(inferers, op) ? inferers[op] : undefined;
}
