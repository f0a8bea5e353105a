/**
 * Notices that a far shell has fallen silent: there, a line is written to stderr every few seconds, whatever the shell is at
 * (`beat` in program.ts); stdout carries answers, and a line in the midst of them would be taken for content.
 *
 * Not every way to a shell has a stderr of its own: some lose it, some mix it into stdout. So one line is asked for first, and
 * only where that comes is the beat begun and its absence believed. Where it does not, the pipe's end is all that is noticed.
 */
import { formatDuration } from '../../base/format.ts';
import { LockstepError } from '../../base/errors.ts';
import type { PipedProcess } from '../../transport/process.ts';
import { IdleTimer } from '../../wire/idle-timer.ts';
import type { Session } from './session.ts';

export interface PulseTiming {
  /** Between two lines, at most; rounded down to seconds, which every `sleep` knows, and at least one. */
  heartbeatMs: number;
  /** A far side from which nothing was heard for so long is lost. */
  silenceMs: number;
}

export class Pulse {
  readonly #session: Session;
  readonly #process: PipedProcess;
  readonly #timing: PulseTiming;
  readonly #silence: IdleTimer;
  #heard = 0;
  #beats = false;

  constructor(session: Session, process: PipedProcess, timing: PulseTiming) {
    this.#session = session;
    this.#process = process;
    this.#timing = timing;
    this.#silence = new IdleTimer(timing.silenceMs, false, () => this.#suspect());
  }

  /** Asks whether lines on stderr arrive; what follows from that happens when one does. */
  start(): void {
    const line = `${this.#session.record}-beat`;
    this.#process.takeStderr((said) => {
      if (said !== line) return false;
      this.#hear();
      this.#begin();
      return true;
    });
    this.#process.stdout.on('data', () => this.#hear());
    // Without `sleep` there is no beat, and so nothing to go by.
    this.#ask(`! has sleep || printf '%s-beat\\n' "$M0" >&2`);
  }

  stop(): void {
    this.#silence.stop();
  }

  #begin(): void {
    if (this.#beats || this.#session.failure !== undefined) return;
    this.#beats = true;
    this.#silence.start();
    this.#ask(`beat ${Math.max(1, Math.floor(this.#timing.heartbeatMs / 1000))}`);
  }

  #ask(code: string): void {
    // Mixed into stdout, it is the answer, which nobody reads. A shell that is gone is noticed by whoever needs it.
    this.#session.run({ code, limit: 1 << 12 }).catch(() => undefined);
  }

  #hear(): void {
    this.#heard += 1;
    this.#silence.touch();
  }

  /** What waits in the pipes, because this process was busy or asleep, is read first. */
  #suspect(): void {
    const heard = this.#heard;
    setImmediate(() => {
      if (this.#heard !== heard) return;
      this.stop();
      if (this.#session.failure !== undefined) return;
      this.#session.fail(
        new LockstepError(
          'connection',
          `${this.#session.name}: the connection was lost: nothing was heard from the other end for ` +
            formatDuration(this.#timing.silenceMs),
          { hint: 'Run again: what was done is recorded, the rest follows. --timeout waits longer.' },
        ),
      );
      // It will not hear that its input has ended either.
      void this.#process.kill();
    });
  }
}
