import { describe, expect, it } from 'vitest';
import { lengthsFirst } from '../../src/kernels/lengthsFirst.ts';

const shader = (body: string) =>
  [
    '@group(0)@binding(0)var<uniform>args:Args;',
    '@group(0)@binding(1)var<storage,read>x:array<vec2f>;',
    '@group(0)@binding(2)var<storage,read_write>counts:array<atomic<u32>,256>;',
    '@group(0)@binding(3)var<storage,read_write>y:array<T>;',
    `@compute @workgroup_size(WG)fn main(@builtin(local_invocation_index)lane:u32){${body}}`,
  ].join('\n');

describe('lengthsFirst', () => {
  it('asks for the length of every array that has none of its own, before all else', () => {
    const body = 'for(var i=lane;i<args.n;i++){y[i]=x[i].x;}';
    expect(lengthsFirst(shader(body))).toBe(shader(`if(arrayLength(&x)+arrayLength(&y)==0){return;}${body}`));
  });

  it('leaves a shader without loops alone', () => {
    const code = shader('y[lane]=x[lane].x;');
    expect(lengthsFirst(code)).toBe(code);
  });
});
