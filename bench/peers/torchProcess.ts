/** The Python process that PyTorch runs in: one JSON object a line in, one out (`torch_peer.py`). */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** There is no Python, or no PyTorch in it. */
export class NotInstalledError extends Error {}

export interface TorchProcessOptions {
  /** Default `python3`. */
  command?: string;
  /** Default: `torch_peer.py` beside this file. */
  script?: string;
  /** For importing PyTorch, which a cold disk may make long; then for any answer. */
  startSeconds?: number;
  answerSeconds?: number;
}

interface Answer {
  ok: boolean;
  error?: string;
  missing?: string;
  [field: string]: unknown;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const SCRIPT = fileURLToPath(new URL('torch_peer.py', import.meta.url));
const MOST_SHOWN = 120;

export class TorchProcess {
  /** What it said first: version, device and name. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answerSeconds: number;
  #waiting: Waiting | undefined;
  /** Why it answers no more. */
  #ended: string | undefined;
  #errors = '';

  static async start(options: TorchProcessOptions = {}): Promise<TorchProcess> {
    const child = spawn(options.command ?? 'python3', [options.script ?? SCRIPT]);
    const made = new TorchProcess(child, options.answerSeconds ?? 120);
    try {
      const about = await made.#answer(options.startSeconds ?? 120);
      if (about.missing === 'torch') throw new NotInstalledError('not installed');
      if (!about.ok) throw new Error(about.error ?? 'it did not start');
      return Object.assign(made, { about });
    } catch (error) {
      made.stop();
      throw error;
    }
  }

  private constructor(child: ChildProcessWithoutNullStreams, answerSeconds: number) {
    this.about = {};
    this.#child = child;
    this.#answerSeconds = answerSeconds;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line));
    // Writing to a process that has just ended; `close` below says so.
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      this.#end(error.code === 'ENOENT' ? new NotInstalledError('not installed') : error);
    });
    child.on('close', (code, signal) => {
      const last = this.#errors.trim().split('\n').at(-1);
      this.#end(new Error(`its process ended (${signal ?? `status ${code}`})${last ? `: ${last}` : ''}`));
    });
    // Not for as long as a computation that hangs.
    process.once('exit', this.stop);
  }

  /** Whether it still answers. */
  get isRunning(): boolean {
    return this.#ended === undefined;
  }

  /** Sends a request and waits for its answer; what the other side could not do throws. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    if (this.#ended !== undefined) throw new Error(this.#ended);
    if (this.#waiting) throw new Error('it was asked before it had answered');
    const answer = this.#answer(this.#answerSeconds);
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { ok, error, ...fields } = await answer;
    if (!ok) throw new Error(error ?? 'it could not, and did not say why');
    return fields;
  }

  stop = (): void => {
    process.off('exit', this.stop);
    this.#ended ??= 'it was stopped';
    this.#child.kill('SIGKILL');
  };

  #answer(seconds: number): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => this.#give(`it did not answer for ${seconds} s`), 1000 * seconds);
      const settle =
        <T>(work: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          this.#waiting = undefined;
          work(value);
        };
      this.#waiting = { resolve: settle(resolve), reject: settle(reject) };
    });
  }

  #read(line: string): void {
    let answer: unknown;
    try {
      answer = JSON.parse(line);
    } catch {
      // Reported below.
    }
    if (typeof answer !== 'object' || answer === null || typeof (answer as Answer).ok !== 'boolean') {
      const shown = line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN)}…` : line;
      this.#give(`it answered with something else than JSON: ${shown}`);
      return;
    }
    this.#waiting?.resolve(answer as Answer);
  }

  /** After an answer that is late or no answer at all, the next one could belong to an earlier request. */
  #give(reason: string): void {
    this.#end(new Error(reason));
    this.stop();
  }

  #end(error: Error): void {
    this.#ended ??= error.message;
    this.#waiting?.reject(error);
  }
}
