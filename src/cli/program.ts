import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { GpuError } from '../gpu/errors.ts';
import { InputError } from '../graph/errors.ts';
import { addCompressCommand } from './commands/compress.ts';
import { addEvalCommand } from './commands/eval.ts';
import { addExportCommand } from './commands/export.ts';
import { addInfoCommand } from './commands/info.ts';
import { addInspectCommand } from './commands/inspect.ts';
import { addProfileCommand } from './commands/profile.ts';
import { addRunCommand } from './commands/run.ts';
import { addSensitivityCommand } from './commands/sensitivity.ts';
import { addTuneCommand } from './commands/tune.ts';
import { INTERRUPTED, Interrupted } from './interrupt.ts';
import { oneLine } from './text.ts';

export const EXIT = { success: 0, internal: 1, usage: 2 } as const;

function buildProgram(): Command {
  // What is set here holds for the commands that are added below.
  const program = new Command('wgslim')
    .description('Makes trained neural networks small, and runs the small ones, on any GPU that WebGPU reaches.')
    .version(packageVersion())
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError() {} });
  for (const add of [
    addInfoCommand,
    addInspectCommand,
    addEvalCommand,
    addSensitivityCommand,
    addCompressCommand,
    addRunCommand,
    addExportCommand,
    addProfileCommand,
    addTuneCommand,
  ]) {
    add(program);
  }
  return program.addHelpText(
    'after',
    `
Exit codes: 0 success, 2 bad usage or bad input, 1 anything else (no adapter, a lost device, an error of wgslim).
Environment: WGSLIM_ADAPTER sets --adapter, and WGSLIM_EXPERIMENTAL --experimental; WGSLIM_TUNED=off leaves what wgslim tune found aside; WGSLIM_DEBUG=1 shows where an error came from.`,
  );
}

function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Runs one command line and returns the exit code; the reason for a failure is one line on stderr. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
    return EXIT.success;
  } catch (error) {
    const { code, message } = judge(error);
    if (message) process.stderr.write(`wgslim: ${message}\n`);
    if (process.env.WGSLIM_DEBUG === '1' && error instanceof Error && code !== EXIT.success) console.error(error.stack);
    return code;
  }
}

function judge(error: unknown): { code: number; message: string } {
  if (error instanceof CommanderError) {
    // Help and version were printed; help that nobody asked for means that no command was given.
    if (error.exitCode === 0) return { code: EXIT.success, message: '' };
    if (error.code === 'commander.help') return { code: EXIT.usage, message: '' };
    return { code: EXIT.usage, message: oneLine(error.message.replace(/^error: /, '')) };
  }
  if (error instanceof InputError) return { code: EXIT.usage, message: oneLine(error.message) };
  if (error instanceof Interrupted) return { code: INTERRUPTED, message: error.message };
  if (error instanceof GpuError) return { code: EXIT.internal, message: oneLine(error.message) };
  const text = error instanceof Error ? error.message : String(error);
  return { code: EXIT.internal, message: `internal error: ${oneLine(text)} (WGSLIM_DEBUG=1 shows where)` };
}
