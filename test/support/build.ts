/**
 * Vitest's global set-up: builds `dist/` once, before any test, because many of them start the real command.
 *
 * `LOCKSTEP_NO_BUILD=1` leaves it as it is, for running unit tests while the sources do not all compile.
 */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export default function build(): void {
  if (process.env['LOCKSTEP_NO_BUILD'] === '1') return;
  const script = join(import.meta.dirname, '../../scripts/build.js');
  execFileSync(process.execPath, [script, '--no-types', '--quiet'], { stdio: 'inherit' });
}
