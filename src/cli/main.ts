#!/usr/bin/env node
import { exitOnInterrupt } from './interrupt.ts';
import { runCommandLine } from './program.ts';

exitOnInterrupt();
// A reader that stops early (`wgslim inspect … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await runCommandLine(process.argv.slice(2));
