/** The options of `wgslim profile --shader`. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Gpu } from '../../gpu/gpu.ts';
import { readInput } from '../../train/data/node/files.ts';
import { numberBetween, wholeNumber } from '../flags.ts';
import { checkCompiles, reflectShader, type ShaderFile } from './shaderFile.ts';
import type { ShaderRunOptions } from './shaderRun.ts';

export interface ShaderFlags {
  shader?: string;
  entry?: string;
  size?: { all?: number; named: Record<string, number> };
  args?: Record<string, number[]>;
  override?: Record<string, number>;
  workgroups?: [number, number, number];
  flops?: number;
}

const SIZE = 65536;

export function addShaderOptions(command: Command): Command {
  return command
    .option('--shader <file.wgsl>', 'a shader of your own in place of a model, on generated inputs')
    .option('--entry <name>', 'with --shader: the @compute function, where there are several')
    .option(
      '--size <n>',
      `elements of the runtime-sized arrays (${SIZE}), or of one: name=n; may be repeated`,
      readSize,
    )
    .option('--args <name=value>', 'a field of a uniform, a vector as name=1,2,3; may be repeated', readArgs)
    .option('--override <name=value>', 'a pipeline-overridable constant; may be repeated', readOverride)
    .option(
      '--workgroups <x,y,z>',
      'workgroups to dispatch; by default one invocation for each element',
      readWorkgroups,
    )
    .option('--flops <n>', 'arithmetic of the dispatch, for its rate and the roof', numberBetween(0, 1e18));
}

/** Reads, compiles and reflects the file. */
export async function readShader(gpu: Gpu, path: string, flags: ShaderFlags): Promise<ShaderFile> {
  const code = new TextDecoder().decode(await readInput(path));
  await checkCompiles(gpu, path, code);
  return reflectShader(path, code, { entry: flags.entry, overrides: flags.override ?? {} });
}

export function shaderOptions({ size, args, workgroups, flops }: ShaderFlags): ShaderRunOptions {
  return { size: size?.all ?? SIZE, sizes: size?.named ?? {}, args: args ?? {}, workgroups, flops };
}

function readSize(text: string, before: ShaderFlags['size'] = { named: {} }): ShaderFlags['size'] {
  const count = wholeNumber({ max: 2 ** 30 });
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/.exec(text) ?? [];
  if (name === undefined) return { ...before, all: count(text) };
  return { ...before, named: { ...before.named, [name]: count(value!) } };
}

/** `a=2`, `offset=1,2,3` and `width=256,height=256`. */
function readArgs(text: string, before: Record<string, number[]> = {}): Record<string, number[]> {
  const given = { ...before };
  let name: string | undefined;
  for (const part of text.split(',')) {
    const [, named, rest] = /^\s*([A-Za-z_][\w.]*)\s*=(.*)$/.exec(part) ?? [];
    if (named !== undefined) {
      name = named;
      given[name] = [];
    }
    const value = Number((rest ?? part).trim() || Number.NaN);
    if (name === undefined || !Number.isFinite(value)) throw new InvalidArgumentError('It must be name=number.');
    given[name]!.push(value);
  }
  return given;
}

function readOverride(text: string, before: Record<string, number> = {}): Record<string, number> {
  const [, name, value] = /^([A-Za-z_]\w*)=(.+)$/.exec(text) ?? [];
  const number = value === 'true' ? 1 : value === 'false' ? 0 : Number(value);
  if (name === undefined || !Number.isFinite(number)) throw new InvalidArgumentError('It must be name=number.');
  return { ...before, [name]: number };
}

function readWorkgroups(text: string): [number, number, number] {
  const counts = text.split(/[x×,]/).map((part) => (/^\d{1,9}$/.test(part.trim()) ? Number(part) : 0));
  if (counts.length > 3 || counts.some((count) => count < 1)) {
    throw new InvalidArgumentError('It must be one to three counts, such as 64 or 16,16.');
  }
  const [x, y = 1, z = 1] = counts as [number, ...number[]];
  return [x, y, z];
}
