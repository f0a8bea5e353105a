/** Far sides with nothing but a shell and small tools: programs that give a `sh` with only those on its PATH. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** A shell, and where its tools come from; without some of them. */
interface FarShell {
  shell: 'busybox' | 'dash' | 'bash';
  tools: 'busybox' | 'gnu';
  /** Names, with spaces between. */
  without?: string;
}

/** By what `LOCKSTEP_TEST_VIA` calls them. */
export const farShells: Readonly<Record<string, FarShell>> = {
  busybox: { shell: 'busybox', tools: 'busybox' },
  dash: { shell: 'dash', tools: 'gnu' },
  bash: { shell: 'bash', tools: 'gnu' },
  // Busybox's own shell finds its tools without any PATH, so it cannot be made to miss one.
  'no-find': { shell: 'dash', tools: 'busybox', without: 'find' },
  'no-tar': { shell: 'dash', tools: 'busybox', without: 'tar' },
  'no-sha256sum': { shell: 'dash', tools: 'busybox', without: 'sha256sum' },
};

/** What GNU systems have that the far program may use. */
const gnuTools =
  'cat chmod cp cut date dd df find grep head hostname id ln ls mkdir mv printf readlink rm rmdir sha256sum sleep sort ' +
  'split stat sync tail tar test touch tr truncate uname wc xargs';

/**
 * Makes one in a directory of its own.
 *
 * @param replaced tools that are scripts of the test's instead
 * @returns the program to be given behind `--`
 */
export function makeFarShell(
  via: string | FarShell,
  replaced: Readonly<Record<string, string>> = {},
): { program: string; remove: () => void } {
  const far = typeof via === 'string' ? farShells[via] : via;
  if (far === undefined) throw new Error(`there is no far shell ${JSON.stringify(via)}`);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-far-'));
  // Also for runs as another user.
  fs.chmodSync(dir, 0o755);
  const bin = path.join(dir, 'bin');
  fs.mkdirSync(bin);
  const where = (tool: string): string => execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
  const busybox = far.tools === 'busybox' || far.shell === 'busybox' ? where('busybox') : '';
  const tools =
    far.tools === 'busybox'
      ? execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')
      : gnuTools.split(' ');
  for (const tool of tools) {
    // Without `busybox` itself: it would be every tool again.
    if (far.without?.split(' ').includes(tool) === true || tool === 'sh' || tool === 'busybox') continue;
    if (far.tools === 'busybox') fs.symlinkSync(busybox, path.join(bin, tool));
    else if (tool !== 'test' && tool !== 'printf')
      fs.symlinkSync(where(`/usr/bin/${tool} || command -v /bin/${tool}`), path.join(bin, tool));
  }
  fs.symlinkSync(far.shell === 'busybox' ? busybox : where(far.shell), path.join(bin, 'sh'));
  for (const [tool, script] of Object.entries(replaced)) {
    fs.rmSync(path.join(bin, tool), { force: true });
    fs.writeFileSync(path.join(bin, tool), `#!${path.join(bin, 'sh')}\n${script}\n`, { mode: 0o755 });
  }
  const program = path.join(dir, 'far');
  fs.writeFileSync(program, `#!/bin/sh\nexec /usr/bin/env -i PATH='${bin}' '${bin}/sh'\n`, { mode: 0o755 });
  // For commands that take endpoints only: whatever container it is to go to, this is where it leads.
  const exec = `while [ "$1" != sh ]; do shift; done; shift; exec /usr/bin/env -i PATH='${bin}' '${bin}/sh' "$@"`;
  fs.writeFileSync(path.join(dir, 'docker'), `#!/bin/sh\n${exec}\n`, { mode: 0o755 });
  return { program, remove: () => fs.rmSync(dir, { recursive: true, force: true }) };
}
