import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import type { Reporter, TestCase } from 'vitest/node';

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')) as { version: string };

/**
 * Names every skipped test with its reason (`context.skip('no ssh here')`): a test that could not run on this machine must
 * not look like one that passed.
 */
function skipReporter(): Reporter {
  const skipped: string[] = [];
  let filtered = false;
  return {
    onInit(vitest) {
      filtered = vitest.config.testNamePattern !== undefined;
    },
    onTestCaseResult(test: TestCase) {
      const result = test.result();
      if (result.state !== 'skipped') return;
      // What `-t` leaves out is skipped too, but is not worth a line.
      if (filtered && result.note === undefined) return;
      skipped.push(`  ${test.module.relativeModuleId}: ${test.fullName}: ${result.note ?? 'no reason given'}`);
    },
    onTestRunEnd() {
      if (skipped.length > 0) console.log(`\nskipped:\n${skipped.join('\n')}`);
    },
  };
}

export default defineConfig({
  // What scripts/build.js puts into the bundles.
  define: { __LOCKSTEP_VERSION__: JSON.stringify(manifest.version) },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    reporters: [skipReporter(), 'default'],
  },
});
