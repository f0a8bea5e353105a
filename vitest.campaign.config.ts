import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

/** Long random campaigns (`npm run test:campaign`): minutes each, one at a time, so that timing is not each other's noise. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/campaign/**/*.campaign.ts'],
    passWithNoTests: false,
    testTimeout: 4 * 3_600_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
