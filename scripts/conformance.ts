/**
 * npm run conformance -- FOLDER_OR_TARBALL [NAME …]: runs ONNX backend node tests on the GPU and prints passes,
 * failures and skips per operator. With names, only tests whose name contains one of them. Exit code 1 on a failure.
 */
import { openGpu } from '../src/gpu/node.ts';
import { InputError } from '../src/graph/errors.ts';
import { engineExecutor } from './conformance/engine.ts';
import { readNodeTests } from './conformance/nodeTests.ts';
import { type CaseResult, runNodeTest } from './conformance/runTests.ts';
import { formatResults } from './conformance/table.ts';

async function main([path, ...names]: string[]): Promise<number> {
  if (!path) throw new InputError('name a folder or a tarball of ONNX backend node tests');
  const tests = (await readNodeTests(path)).filter(
    ({ name }) => names.length === 0 || names.some((part) => name.includes(part)),
  );
  const { gpu } = await openGpu();
  const results: CaseResult[] = [];
  try {
    for (const test of tests) {
      results.push(await runNodeTest(test, engineExecutor(gpu)));
    }
  } finally {
    gpu.destroy();
  }
  console.log(formatResults(results));
  return results.some(({ status }) => status === 'fail') ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
