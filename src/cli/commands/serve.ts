/** `lockstep serve`: the far end as a program of its own, for an ssh forced command. */
import fs from 'node:fs';
import path from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { LockstepError, UsageError } from '../../base/errors.ts';
import { escapeControls } from '../../base/text.ts';

const notes = `
For a key in authorized_keys that may do nothing but sync one directory:
  command="lockstep serve --root /srv/app",restrict ssh-ed25519 AAAA… laptop

Whatever the other side asks for, only these directories and what is below them are read or written. It speaks
on stdin and stdout until the connection ends; started by hand it only waits.
`;

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('Serve directories to a Lockstep at the other end of stdin and stdout, and nothing else.')
    .requiredOption('--root <dir...>', 'what may be synced, with everything below')
    .option('--read-only', 'it may be pulled from, but not written to')
    .usage('[options] --root <dir...>')
    .addHelpText('after', notes)
    .action(async ({ root, readOnly }) => {
      if (process.stdin.isTTY || process.stdout.isTTY) {
        throw new UsageError('lockstep serve speaks to a program, not to a terminal', {
          hint: 'It belongs into authorized_keys: see lockstep serve --help.',
        });
      }
      // The whole far end: no other command needs it.
      const { serveRoots } = await import('../../workspace/serve.ts');
      await serveRoots({ roots: root.map(servedRoot), readOnly: readOnly === true });
    });
  return command;
}

/** A served directory must be there when the server starts: a typing error would refuse everything later. */
function servedRoot(given: string): string {
  const root = path.resolve(given);
  if (fs.statSync(root, { throwIfNoEntry: false })?.isDirectory() === true) return root;
  throw new LockstepError('root-missing', `${escapeControls(root)} is not a directory`, {
    path: root,
    hint: 'Make it, or correct --root.',
  });
}
