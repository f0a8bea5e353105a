/** For vitest.remote.config.ts: one sshd for all tests. */
import { startSshd } from './sshd.ts';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['LOCKSTEP_TEST_VIA'] !== 'ssh') return undefined;
  const sshd = await startSshd();
  process.env['LOCKSTEP_TEST_SSH_CONFIG'] = sshd.clientConfig;
  return () => sshd.stop();
}
