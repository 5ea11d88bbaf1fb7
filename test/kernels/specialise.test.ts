import { describe, expect, it } from 'vitest';
import { LimitError } from '../../src/gpu/errors.ts';
import { unaryShader } from '../../src/kernels/generated/elementwise.ts';
import { channelMomentsShader } from '../../src/kernels/generated/norm.ts';
import { multiplyAddShader } from '../../src/kernels/generated/probe.ts';
import { encodeArgs, grid, orderOperands } from '../../src/kernels/kernel.ts';
import { specialise, tunableValue } from '../../src/kernels/specialise.ts';

const operand = (dtype: 'f32' | 'u32' = 'f32') => ({ dtype, elements: 4 });

describe('specialise', () => {
  it('rewrites constants and aliases and passes overrides on', () => {
    const program = specialise(channelMomentsShader, { WG: 32, T: 'f32', LANES: 1 });
    expect(program.overrides).toEqual({ WG: 32 });
    expect(program.code).toMatch(/^alias T = f32;$/m);
    expect(program.code).toMatch(/^const LANES: f32 = 1;$/m);
    expect(program.bindings).toEqual(['uniform', 'read', 'read_write']);
  });

  it('enables half precision where an alias asks for it, before everything else', () => {
    expect(specialise(unaryShader).code).not.toContain('enable f16');
    expect(specialise(multiplyAddShader, { S: 'f16', T: 'vec4h' }, 16).code).toMatch(
      /^requires immediate_address_space;\nenable f16;\n/,
    );
  });

  it('leaves what is not given as the file has it', () => {
    expect(specialise(unaryShader).code).toBe(unaryShader.code);
    expect(specialise(unaryShader, { OP: undefined }).code).toBe(unaryShader.code);
    expect(specialise(unaryShader, { OP: 3 }).code).toMatch(/^const OP: u32 = 3u;$/m);
  });

  it('refuses a tunable that the shader does not declare', () => {
    expect(() => specialise(unaryShader, { TILE: 4 })).toThrow('Shader elementwise/unary declares no tunable TILE');
  });

  it('knows the value that a tunable will have', () => {
    expect(tunableValue(unaryShader, {}, 'WG')).toBe(64);
    expect(tunableValue(unaryShader, { WG: 32 }, 'WG')).toBe(32);
    expect(() => tunableValue(unaryShader, {}, 'TILE')).toThrow('Shader elementwise/unary declares no tunable TILE');
  });
});

describe('orderOperands', () => {
  it('puts operands in the order of their bindings', () => {
    const [x, out] = [operand(), operand()];
    expect(orderOperands(unaryShader, { out, x })).toEqual([
      { operand: x, write: false },
      { operand: out, write: true },
    ]);
  });

  it('refuses an operand that is missing, left over or of another type', () => {
    expect(() => orderOperands(unaryShader, { x: operand() })).toThrow(
      'Shader elementwise/unary needs the operand out',
    );
    expect(() => orderOperands(unaryShader, { x: operand(), out: operand(), y: operand() })).toThrow(
      'Shader elementwise/unary has no operand y',
    );
    expect(() => orderOperands(unaryShader, { x: operand('u32'), out: operand() })).toThrow(
      'Operand x of elementwise/unary must hold f32, not u32',
    );
  });
});

describe('encodeArgs', () => {
  it('writes fields at their offsets', () => {
    const view = new DataView(encodeArgs(unaryShader, { b: -2, n: 7, a: 0.5, span: 9 }));
    expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([7, 9]);
    expect([view.getFloat32(8, true), view.getFloat32(12, true)]).toEqual([0.5, -2]);
    expect(view.byteLength % 16).toBe(0);
  });

  it('refuses an argument that is missing, left over or out of range', () => {
    expect(() => encodeArgs(unaryShader, { n: 1, span: 1, a: 0 })).toThrow(
      'Shader elementwise/unary needs the argument b',
    );
    expect(() => encodeArgs(unaryShader, { n: 1, span: 1, a: 0, b: 0, c: 0 })).toThrow('has no argument c');
    for (const n of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => encodeArgs(unaryShader, { n, span: 1, a: 0, b: 0 })).toThrow(LimitError);
    }
  });
});

describe('grid', () => {
  it('folds into a second dimension beyond the limit of one', () => {
    expect(grid(100, 64)).toEqual([2, 1, 1]);
    const [x, y] = grid(64 * 65536, 64);
    expect(x).toBeLessThanOrEqual(65535);
    expect(x * y).toBeGreaterThanOrEqual(65536);
    expect(() => grid(2 ** 50, 64)).toThrow(LimitError);
  });
});
