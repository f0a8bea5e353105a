import { defineConfig, mergeConfig } from 'vitest/config';
import local from './vitest.config.ts';

/**
 * The integration tests again, with the second root at the far end of a pipe: `LOCKSTEP_TEST_VIA=sh` (a plain local shell)
 * or `ssh` (a real sshd on loopback), with a Node there; or `busybox`, `dash`, `bash`, … (test/support/far-shells.ts), with none.
 */
export default mergeConfig(
  local,
  defineConfig({
    test: {
      globalSetup: ['test/support/build.ts', 'test/support/remote-setup.ts'],
    },
  }),
);
