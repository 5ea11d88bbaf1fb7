import type { BufferSlice } from '../gpu/buffers.ts';
import type { Capabilities } from '../gpu/capabilities.ts';
import type { Program } from '../gpu/program.ts';
import { encodeArgs, type KernelCall, type Operand, orderOperands } from './kernel.ts';
import { lengthsFirst } from './lengthsFirst.ts';
import type { Shader } from './shader.ts';
import { specialise } from './specialise.ts';

/** A call with everything settled but the place of its operands. */
export interface EncodedCall {
  program: Program;
  args: ArrayBuffer | BufferSlice | undefined;
  /** In the order of the bindings. */
  operands: { operand: Operand; write: boolean }[];
}

/**
 * Checks a call against its shader's interface and encodes its arguments. Those that never change travel as immediates
 * where the device has them, and in the plan's uniform arena elsewhere.
 */
export function encodeCall<S extends Shader>(shader: S, call: KernelCall<S>, capabilities: Capabilities): EncodedCall {
  const args = resolveArgs(shader, call.args);
  const immediate = args instanceof ArrayBuffer && args.byteLength <= capabilities.immediateBytes ? args.byteLength : 0;
  const program = specialise(shader, call.tunables as Record<string, number>, immediate);
  const swiftShader = capabilities.kind === 'cpu' && capabilities.subgroupSize === 4;
  return {
    program: swiftShader ? { ...program, code: lengthsFirst(program.code) } : program,
    args,
    operands: orderOperands(shader, call.operands),
  };
}

function resolveArgs(shader: Shader, args: unknown): ArrayBuffer | BufferSlice | undefined {
  if (!shader.args) return undefined;
  if (args && typeof args === 'object' && 'buffer' in args) return args as BufferSlice;
  return encodeArgs(shader, args as Record<string, number>);
}
