import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { engineExecutor } from '../../scripts/conformance/engine.ts';
import { readNodeTests } from '../../scripts/conformance/nodeTests.ts';
import { type CaseResult, runNodeTest } from '../../scripts/conformance/runTests.ts';
import { testGpu } from '../support/gpu.ts';

const tarball = join(process.env.WGSLIM_DATA ?? '../shared/data', 'onnx-node-tests/node-tests.tar.gz');

/** The operators that wgslim promises: the first list on the GPU, the second folded where they only compute shapes. */
const promised = new Set(
  [
    'Conv,Gemm,MatMul,BatchNormalization,Relu,LeakyRelu,Clip,Sigmoid,Tanh,HardSwish,Add,Sub,Mul,Div,MaxPool',
    'AveragePool,GlobalAveragePool,GlobalMaxPool,Pad,Slice,Concat,Flatten,Reshape,Transpose,Squeeze,Unsqueeze',
    'ReduceMean,Softmax,LogSoftmax,Identity,Dropout',
    'Constant,ConstantOfShape,Shape,Gather,Split,Cast',
  ]
    .join()
    .split(','),
);

/** Every node test of a promised operator that is not run, and why. */
const indices = /^node '\w+' \(MaxPool\) has the output Indices \('z'\), which is not supported; only its output Y is$/;
const skippedOnPurpose: Readonly<Record<string, RegExp>> = {
  // The indices of the maxima are int64 and of use to MaxUnpool alone, which no classifier has.
  test_maxpool_with_argmax_2d_precomputed_pads: indices,
  test_maxpool_with_argmax_2d_precomputed_strides: indices,
};

/** What a model must be that is skipped beside those: made of something that was never promised. */
const foreign =
  /: the operator (\S+) is not supported$| has elements of type \w+, which is not supported$| is no tensor,/;

describe.skipIf(!existsSync(tarball))(`ONNX node tests on the GPU (skipped without ${tarball})`, () => {
  const results: CaseResult[] = [];
  beforeAll(async () => {
    const executor = engineExecutor(await testGpu());
    for (const test of await readNodeTests(tarball)) results.push(await runNodeTest(test, executor));
  });
  const withStatus = (wanted: CaseResult['status']) => results.filter(({ status }) => status === wanted);

  it('fail nowhere', () => {
    expect(withStatus('fail')).toEqual([]);
  });

  it('pass', () => {
    expect(withStatus('pass').length).toBeGreaterThanOrEqual(130);
    // Most of them on the GPU, not by folding on the host.
    expect(withStatus('pass').filter(({ folded }) => !folded).length).toBeGreaterThanOrEqual(100);
  });

  it('are skipped for a stated reason, and none of a promised operator but two', () => {
    const skipped = withStatus('skip');
    const ours = skipped.filter(({ operator }) => promised.has(operator));
    expect(ours.map(({ name }) => name).sort()).toEqual(Object.keys(skippedOnPurpose).sort());
    for (const { name, reason } of ours) expect(reason).toMatch(skippedOnPurpose[name]!);
    for (const { name, reason = '' } of skipped.filter((result) => !ours.includes(result))) {
      const [, operator = ''] = foreign.exec(reason) ?? expect.fail(`${name}: ${reason}`);
      expect(promised, `${name}: ${reason}`).not.toContain(operator);
    }
  });
});
