import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readNodeTests } from '../../scripts/conformance/nodeTests.ts';
import { type CaseResult, runNodeTest } from '../../scripts/conformance/runTests.ts';
import { formatResults } from '../../scripts/conformance/table.ts';
import { inferShapeOfOperator } from '../../src/graph/shapes.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { runOnnxruntime } from './ort.ts';

const tarball = join(process.env.WGSLIM_DATA ?? '../shared/data', 'onnx-node-tests/node-tests.tar.gz');

const computed = (
  'Conv,Gemm,MatMul,BatchNormalization,Relu,LeakyRelu,Clip,Sigmoid,Tanh,HardSwish,Add,Sub,Mul,Div,MaxPool,AveragePool,' +
  'GlobalAveragePool,Pad,Slice,Concat,Flatten,Reshape,Transpose,Squeeze,Unsqueeze,ReduceMean,Softmax,LogSoftmax,Identity'
).split(',');
const onlyFolded = ['Constant', 'Shape', 'Gather', 'Split', 'ConstantOfShape'];

/**
 * The node tests through import, specialisation and export, with onnxruntime as the machine that executes: what is
 * wrong then was done to the graph.
 */
describe.skipIf(!existsSync(tarball))(`ONNX node tests (skipped without ${tarball})`, async () => {
  const tests = existsSync(tarball) ? await readNodeTests(tarball) : [];

  it('every operator in our list passes all its cases, but those with a stated reason', async () => {
    const results: CaseResult[] = [];
    for (const test of tests) {
      results.push(
        await runNodeTest(test, {
          supported: new Set(computed),
          lookup: inferShapeOfOperator,
          runGraph: async (graph, inputs) =>
            new Map(Object.entries(await runOnnxruntime(exportOnnx(graph), Object.fromEntries(inputs)))),
        }),
      );
    }
    const ours = results.filter(({ operator }) => [...computed, ...onlyFolded].includes(operator));
    const skipped = ours.filter(({ status }) => status === 'skip');
    expect(results.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(
      skipped.map(({ name, reason }) => `${name}: ${reason}`).filter((text) => !/the output Indices/.test(text)),
    ).toEqual([]);
    expect(skipped).toHaveLength(2);
    expect(ours.filter(({ status }) => status === 'pass').length).toBeGreaterThanOrEqual(127);
    expect(formatResults(results)).toMatch(/\d+ passed, 0 failed, \d+ skipped$/);
  }, 60_000);
});

describe('readNodeTests', () => {
  it('names a path that is none', async () => {
    await expect(readNodeTests('no/such/place.tar.gz')).rejects.toThrow(/no\/such\/place\.tar\.gz cannot be read/);
    await expect(readNodeTests('src/graph')).rejects.toThrow(/holds no node test/);
  });
});
