/** For vitest.remote.config.ts: one sshd, or one far shell, for all tests. */
import { farShells, makeFarShell } from './far-shells.ts';
import { startSshd } from './sshd.ts';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const via = process.env['LOCKSTEP_TEST_VIA'] ?? '';
  if (via in farShells) {
    const far = makeFarShell(via);
    process.env['LOCKSTEP_TEST_FAR'] = far.program;
    return async () => {
      far.remove();
      return Promise.resolve();
    };
  }
  if (via !== 'ssh') return undefined;
  const sshd = await startSshd();
  process.env['LOCKSTEP_TEST_SSH_CONFIG'] = sshd.clientConfig;
  return () => sshd.stop();
}
