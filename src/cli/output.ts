import type { CommonFlags } from './flags.ts';

/** The one place that writes to stdout: the JSON document, or the text for people. */
export async function printResult(flags: CommonFlags, document: unknown, text: string): Promise<void> {
  await writeStdout(`${flags.json ? JSON.stringify(document, null, 2) : text}\n`);
}

/** Resolves when the text is on its way, so that an exit afterwards cannot cut it. */
function writeStdout(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      // Whoever reads may stop early (`wgslim inspect … | head`).
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') reject(error);
      else resolve();
    });
  });
}
