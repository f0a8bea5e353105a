// All of the integration tests with the second root served by nothing but a shell: over each of those that are named, or
// over busybox, dash and bash, one after the other. A quarter of an hour each; CI runs all over the first and some over the others.
import { spawnSync } from 'node:child_process';

const shells = process.argv.length > 2 ? process.argv.slice(2) : ['busybox', 'dash', 'bash'];
const directories = ['test/sync', 'test/features', 'test/scenarios', 'test/safety'];

let failed = false;
for (const shell of shells) {
  process.stdout.write(`\n##### ${shell}\n`);
  const ran = spawnSync('npx', ['vitest', 'run', '--config', 'vitest.remote.config.ts', ...directories], {
    env: { ...process.env, LOCKSTEP_TEST_VIA: shell },
    stdio: 'inherit',
  });
  failed ||= ran.status !== 0;
}
process.exitCode = failed ? 1 : 0;
