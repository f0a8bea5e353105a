/**
 * Talking to the far `sh`: one command after the other, each a line of code and the bytes that it reads from stdin, answered
 * by output and a line with a marker, the command's number and its exit status.
 *
 * The marker is random and only that shell knows it, so no file's content can pass for it. What comes from there is not
 * trusted further than that: every answer has a limit, and a shell that breaks the rules is not spoken to any more.
 */
import { randomBytes } from 'node:crypto';
import { InterruptedError, LockstepError } from '../../base/errors.ts';
import type { PipedProcess } from '../../transport/process.ts';
import { BadRecordError } from './records.ts';

/** What a command does with its output: it is given every piece, in order. */
export type Sink = (piece: Buffer) => void;

export interface Command {
  /** One line of code for the program (program.ts). */
  code: string;
  /** What the code reads from stdin, to the byte. */
  input?: Uint8Array | readonly Uint8Array[];
  /** Takes the output; without one it is kept, and returned. */
  sink?: Sink;
  /** More output than this is not an answer any more. */
  limit?: number;
}

export interface Answer {
  status: number;
  /** Empty where a sink took it. */
  output: Buffer;
}

interface Pending {
  number: number;
  sink: Sink | undefined;
  limit: number;
  taken: number;
  pieces: Buffer[];
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** Answers that are kept in memory. */
const defaultLimit = 16 << 20;
/** A higher one is of something that was killed (`end` in program.ts). */
const mostStatus = 128;
/** `\n` marker ` ` number ` ` status `\n` */
const maxEndBytes = 64;

export class Session {
  /** Ends an answer (program.ts). */
  readonly marker: string;
  /** Begins a record within one. */
  readonly record: string;
  /** Of the root, for messages. */
  readonly name: string;
  readonly #process: PipedProcess;
  readonly #pending: Pending[] = [];
  readonly #startsEnd: Buffer;
  #carry: Buffer = Buffer.alloc(0);
  #next = 1;
  #writing: Promise<void> = Promise.resolve();
  #failed: Error | undefined;

  /** New ones for a session: nobody over there knows them beforehand. */
  static markers(): { answer: string; record: string } {
    return { answer: randomBytes(12).toString('hex'), record: randomBytes(12).toString('hex') };
  }

  /** @param markers what the program was given */
  constructor(process: PipedProcess, name: string, markers: { answer: string; record: string }) {
    this.marker = markers.answer;
    this.record = markers.record;
    this.#process = process;
    this.name = name;
    this.#startsEnd = Buffer.from(`\n${this.marker} `);
    const { stdout } = process;
    stdout.on('data', (chunk: Buffer) => this.#hear(chunk));
    const gone = (): void => this.fail(this.#lost());
    stdout.on('end', gone);
    stdout.on('close', gone);
  }

  /** Why it cannot be spoken to any more, once that is so. */
  get failure(): Error | undefined {
    return this.#failed;
  }

  /** Sends a command; several may be under way. @throws LockstepError `connection`, `protocol`; InterruptedError */
  async run(command: Command): Promise<Answer> {
    if (this.#failed !== undefined) throw this.#failed;
    const number = this.#next;
    this.#next += 1;
    const answer = new Promise<Answer>((resolve, reject) => {
      const { sink, limit = sink === undefined ? defaultLimit : Number.MAX_SAFE_INTEGER } = command;
      this.#pending.push({ number, sink, limit, taken: 0, pieces: [], resolve, reject });
    });
    answer.catch(() => undefined);
    const inputs =
      command.input === undefined ? [] : command.input instanceof Uint8Array ? [command.input] : command.input;
    const before = this.#writing;
    this.#writing = (async () => {
      await before;
      // In a line of its own, even if who was to take the input before it was killed and has left some of it.
      await this.#write(Buffer.from(`\n${this.marker} ${command.code}; end ${number} $?\n`, 'latin1'));
      for (const input of inputs) await this.#write(input);
    })().catch(() => undefined);
    await this.#writing;
    return answer;
  }

  /** As `run`, for a command that must succeed. @throws also LockstepError `io` with what it printed */
  async must(command: Command, what: string): Promise<Buffer> {
    const { status, output } = await this.run(command);
    if (status === 0) return output;
    const said = output.subarray(-500).toString('utf8').trim();
    throw new LockstepError('io', `${this.name}: cannot ${what}${said === '' ? '' : `: ${said}`}`);
  }

  /** @throws always: what the far side sent cannot be */
  broken(what: string): never {
    const error = new LockstepError('protocol', `${this.name}: the far side sent ${what}`);
    this.fail(error);
    throw error;
  }

  /** Ends every command that waits, and all that come. */
  fail(error: Error): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    // Whoever still sends is not to wait for a pipe that nobody reads.
    this.#process.stdin.destroy();
  }

  /** Says goodbye: the program puts everything away and ends. */
  async end(): Promise<void> {
    if (this.#failed === undefined) await this.#writing;
    this.#failed ??= new LockstepError('protocol', 'the session is closed');
  }

  /** Interrupts: what is under way there is not waited for. */
  interrupt(): void {
    this.fail(new InterruptedError());
  }

  #lost(): LockstepError {
    const said = this.#process.stderrTail().trim();
    return new LockstepError(
      'connection',
      `${this.name}: the connection was lost${said === '' ? '' : `\n  the far side said: ${said}`}`,
      { hint: 'Run again: what was done is recorded, the rest follows.' },
    );
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { stdin } = this.#process;
    if (this.#failed !== undefined || stdin.destroyed) return;
    if (stdin.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stdin.off('drain', done);
        stdin.off('close', done);
        resolve();
      };
      stdin.on('drain', done);
      stdin.on('close', done);
    });
  }

  #hear(chunk: Buffer): void {
    let rest = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    this.#carry = Buffer.alloc(0);
    while (rest.length > 0 && this.#failed === undefined) {
      const [pending] = this.#pending;
      if (pending === undefined) {
        this.#refuse('something that nobody asked for');
        return;
      }
      const at = rest.indexOf(this.#startsEnd);
      if (at < 0) {
        // The end may have begun: that much is kept back.
        const sure = Math.max(0, rest.length - this.#startsEnd.length + 1);
        this.#take(pending, rest.subarray(0, sure));
        this.#carry = Buffer.from(rest.subarray(sure));
        return;
      }
      const start = at + this.#startsEnd.length;
      const lineEnd = rest.indexOf(10, start);
      if (lineEnd < 0) {
        if (rest.length - at > maxEndBytes) this.#refuse('an end that does not end');
        this.#take(pending, rest.subarray(0, at));
        this.#carry = Buffer.from(rest.subarray(at));
        return;
      }
      this.#take(pending, rest.subarray(0, at));
      const match = /^(\d{1,9}) (\d{1,3})$/.exec(rest.toString('latin1', start, lineEnd));
      if (match === null || Number(match[1]) !== pending.number) {
        this.#refuse('an answer to something else');
        return;
      }
      rest = rest.subarray(lineEnd + 1);
      const status = Number(match[2]);
      if (status > mostStatus) {
        this.fail(
          new LockstepError('connection', `${this.name}: a program that the shell over there had started was killed`, {
            hint: 'Run again: what was done is recorded, the rest follows.',
          }),
        );
        return;
      }
      this.#pending.shift();
      pending.resolve({ status, output: Buffer.concat(pending.pieces) });
    }
  }

  #take(pending: Pending, piece: Buffer): void {
    if (piece.length === 0 || this.#failed !== undefined) return;
    pending.taken += piece.length;
    if (pending.taken > pending.limit) {
      this.#refuse(`more than ${pending.limit} bytes where little was asked for`);
      return;
    }
    if (pending.sink === undefined) {
      pending.pieces.push(Buffer.from(piece));
      return;
    }
    try {
      pending.sink(piece);
    } catch (error) {
      if (error instanceof BadRecordError) this.#refuse(error.message);
      else this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #refuse(what: string): void {
    this.fail(new LockstepError('protocol', `${this.name}: the far side sent ${what}`));
  }
}
