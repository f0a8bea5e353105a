/**
 * Stand-ins for docker, podman, kubectl, vagrant and others: programs of their names on PATH that write down how they were
 * called, and then run here what they were to run there.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface StandIns {
  /** In front on PATH until `remove`. */
  dir: string;
  /**
   * Adds one.
   *
   * @param body sh commands that see the call's arguments; what they leave to `"$@"` is theirs
   */
  add(program: string, body: string): void;
  /** Adds one that drops its arguments up to the first `sh` or `sudo` and runs the rest. */
  addRunner(program: string): void;
  /** The calls so far, the program first; forgotten after being read. */
  calls(): string[][];
  remove(): void;
}

export function standIns(): StandIns {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-stand-ins-'));
  const record = path.join(dir, '.calls');
  const before = process.env['PATH'];
  process.env['PATH'] = `${dir}:${before ?? ''}`;
  const add = (program: string, body: string): void => {
    // Each call as its number of words and the words, each ended by NUL.
    const script = `#!/bin/sh\nprintf '%s\\0' "$(($# + 1))" '${program}' "$@" >>'${record}'\n${body}\n`;
    fs.writeFileSync(path.join(dir, program), script, { mode: 0o755 });
  };
  return {
    dir,
    add,
    addRunner: (program) => add(program, 'while [ "$1" != sh ] && [ "$1" != sudo ]; do shift; done; exec "$@"'),
    calls: () => {
      const text = fs.existsSync(record) ? fs.readFileSync(record, 'utf8') : '';
      fs.rmSync(record, { force: true });
      const words = text.split('\0').slice(0, -1);
      const calls: string[][] = [];
      while (words.length > 0) calls.push(words.splice(0, Number(words.shift())));
      return calls;
    },
    remove: () => {
      process.env['PATH'] = before;
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
