/**
 * The one test command. Runs every check in order and stops at the first that fails, naming it.
 *
 *     npm test                          everything
 *     npm test -- test/sync.test.ts     only vitest, with these arguments
 */

import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const bin = (file) => path.join(root, 'node_modules', file);

const sections = [
  ['format', [bin('prettier/bin/prettier.cjs'), '--check', '--log-level=warn', '.']],
  ['lint', [bin('eslint/bin/eslint.js'), '--max-warnings=0', '.']],
  ['types', [bin('typescript/bin/tsc'), '--noEmit']],
  ['layers', ['scripts/layers-proof.js']],
  ['build', ['scripts/build.js']],
  ['options', ['scripts/options-doc.js', '--check']],
  ['notices', ['scripts/notices.js', '--check']],
  ['installed package', ['scripts/smoke.js']],
  ['vitest', [bin('vitest/vitest.mjs'), 'run', ...process.argv.slice(2)]],
];

/** Runs a section; a signal counts as failure too, as it leaves no status. */
function run([name, args]) {
  console.log(`\n=== ${name} ===`);
  const started = performance.now();
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = status === 0;
  console.log(`--- ${name}: ${ok ? 'ok' : 'FAILED'} (${seconds} s)`);
  return ok;
}

const wanted = process.argv.length > 2 ? sections.filter(([name]) => name === 'vitest') : sections;
const failed = wanted.find((section) => !run(section));
if (failed !== undefined) {
  const left = wanted.slice(wanted.indexOf(failed) + 1).map(([name]) => name);
  console.log(`\nFAILED in: ${failed[0]}${left.length > 0 ? ` (not run: ${left.join(', ')})` : ''}`);
  process.exitCode = 1;
} else {
  console.log(`\nall passed: ${wanted.map(([name]) => name).join(', ')}`);
}
