import type { Shader } from '../../src/kernels/shader.ts';

/** Of a text that it must find, so that a change of the shader cannot leave a part of it as it was. */
function replaced(code: string, pattern: string | RegExp, by: string): string {
  const changed = code.replaceAll(pattern, by);
  if (changed === code) throw new Error(`The shader has no ${pattern}`);
  return changed;
}

/**
 * The shader for adapters without subgroup matrices: each lane of a subgroup holds its share of a result, and an operand
 * is where it lies in workgroup memory (no barrier comes between its load and its use). All else is the shader's own text.
 * @param lanes what a subgroup has; no more than the tunable LANES
 */
export function emulatingMatrices<S extends Shader>(shader: S, lanes: number): S {
  let { code } = shader;
  code = replaced(code, /^enable \w*subgroup\w*;\n/gm, '');
  code = replaced(code, /^alias (Left|Right)=.*$/gm, 'struct $1{offset:u32,stride:u32}');
  code = replaced(code, /^alias Result=.*$/gm, `struct Result{e:array<f32,(M*N+${lanes - 1})/${lanes}>}`);
  code = replaced(
    code,
    /@builtin\(subgroup_id\)subgroup:u32,\)\{/g,
    `){let subgroup=local/${lanes};let lane=local%${lanes};`,
  );
  code = replaced(code, /subgroupMatrixLoad<Left,row_major>\(&a_tile,/g, 'Left(');
  code = replaced(code, /subgroupMatrixLoad<Right,row_major>\(&b_tile,/g, 'Right(');
  code = replaced(code, /subgroupMatrixStore<row_major>\(&results,/g, 'store_result(lane,');
  code = replaced(code, /subgroupMatrixMultiplyAccumulate\(/g, 'multiply_accumulate(lane,');
  if (/subgroup_?matrix/i.test(code)) throw new Error('The shader has more of subgroup matrices than is emulated');
  return { ...shader, features: [], code: `${code}\n${FUNCTIONS.replaceAll('LANES', String(lanes))}` };
}

const FUNCTIONS = `
fn multiply_accumulate(lane: u32, left: Left, right: Right, sum: Result) -> Result {
  var matrix = sum;
  for (var i = lane; i < M * N; i += LANES) {
    for (var k = 0u; k < K; k++) {
      let x = f32(a_tile[left.offset + i / N * left.stride + k]);
      matrix.e[i / LANES] += x * f32(b_tile[right.offset + k * right.stride + i % N]);
    }
  }
  return matrix;
}
fn store_result(lane: u32, offset: u32, matrix: Result, stride: u32) {
  for (var i = lane; i < M * N; i += LANES) { results[offset + i / N * stride + i % N] = matrix.e[i / LANES]; }
}
`;
