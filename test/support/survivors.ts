/** Processes that outlive a test, found by a mark in their environment, which everything they start inherits. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';

const variable = 'LOCKSTEP_TEST_MARK';

/** Marks this process's environment: whatever it starts from now on can be found again. */
export function markProcesses(): string {
  const mark = randomUUID();
  process.env[variable] = mark;
  return mark;
}

/** For environments that are not inherited, such as an ssh session's (`SetEnv` in sshd's configuration). */
export function markSetting(mark: string): string {
  return `${variable}=${mark}`;
}

/** Every living process with the mark, as `pid command line`. */
export function survivors(mark: string): string[] {
  const found: string[] = [];
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    try {
      if (!fs.readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(markSetting(mark))) continue;
      found.push(`${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`);
    } catch {
      // It ended while it was looked at, or is somebody else's.
    }
  }
  return found;
}

/** Waits until none is left; what the far side runs ends a moment after the connection. */
export async function noSurvivors(mark: string): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    const left = survivors(mark);
    if (left.length === 0) return;
    if (Date.now() > end) {
      // Once told is enough: the tests after this one are not to blame.
      for (const line of left) process.kill(Number.parseInt(line, 10), 'SIGKILL');
      throw new Error(`still alive:\n${left.join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
