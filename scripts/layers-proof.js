/**
 * Proves that the layer lint works, with the configuration that `npm run lint` uses: a lint that looks at nothing passes
 * just as well as one that finds nothing. Fails when a forbidden import is not found, when an allowed one is, and when
 * `src/` has a directory without a rank.
 */

import fs from 'node:fs';
import path from 'node:path';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { roomOf } from './layers.js';

const root = path.dirname(import.meta.dirname);

/** Each file's text with the rule that must complain about it, or `null` when none may. */
const cases = [
  ['src/tree/proof.ts', "import { cycle } from '../link/cycle.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "import type { Cycle } from '../link/cycle.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "export * from '../link/cycle.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "export { cycle } from '../link/cycle.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "export const late = () => import('../link/cycle.ts');", 'lockstep/layers'],
  ['src/tree/proof.ts', "export type Late = import('../link/cycle.ts').Cycle;", 'lockstep/layers'],
  ['src/tree/ignore/proof.ts', "import '../../link/cycle.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "import '../delta/search.ts';", 'lockstep/layers'],
  ['src/tree/proof.ts', "import fs from 'node:fs';", 'lockstep/layers'],
  ['src/tree/proof.ts', "import fs from 'fs/promises';", 'lockstep/layers'],
  ['src/delta/proof.ts', 'export const home = process.env;', 'no-restricted-globals'],
  ['src/replica/proof.ts', "import './agent/serve.ts';", 'lockstep/layers'],
  ['src/replica/local/proof.ts', "import '../agent/serve.ts';", 'lockstep/layers'],
  ['src/replica/shell/proof.ts', "import '../agent/serve.ts';", 'lockstep/layers'],
  ['src/replica/later/proof.ts', "import '../replica.ts';", 'lockstep/layers'],
  ['src/link/proof.ts', "import '../index.ts';", 'lockstep/layers'],
  ['src/link/proof.ts', "import 'lockstep';", 'lockstep/layers'],
  ['src/link/proof.ts', "import '../../test/support/tree.ts';", 'lockstep/layers'],

  ['src/tree/proof.ts', "import '../base/errors.ts';\nimport './path.ts';\nimport 'node:crypto';", null],
  ['src/tree/proof.test.ts', "import '../../test/support/tree.ts';\nimport 'node:fs';", null],
  ['src/replica/agent/proof.ts', "import '../local/scan.ts';\nimport '../replica.ts';\nimport 'node:fs';", null],
  ['src/link/proof.ts', "import '../replica/agent/client.ts';\nimport '../tree/ignore/rules.ts';", null],
  ['src/cli/proof.ts', "import '../index.ts';\nimport 'commander';", null],
  ['src/index.ts', "export * from './link/cycle.ts';", null],
];

// The files need not exist, and type information would: so without it.
const eslint = new ESLint({ cwd: root, overrideConfig: tseslint.configs.disableTypeChecked });
const failures = [];

for (const [filePath, text, expected] of cases) {
  const [result] = await eslint.lintText(text, { filePath: path.join(root, filePath) });
  const found = result?.messages ?? [{ fatal: true, message: 'the file is not linted at all' }];
  const fatal = found.find((message) => message.fatal);
  const rules = found.map((message) => message.ruleId).filter((rule) => cases.some((row) => row[2] === rule));
  const ok = expected === null ? rules.length === 0 : rules.includes(expected);
  if (fatal) failures.push(`${filePath}: ${fatal.message}`);
  else if (!ok)
    failures.push(`${filePath}: ${expected ?? 'nothing'} expected, got ${rules.join() || 'nothing'}: ${text}`);
}

const files = fs.readdirSync(path.join(root, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'));
for (const dir of new Set(files.filter((file) => roomOf(file) === undefined).map((file) => path.dirname(file)))) {
  failures.push(`src/${dir}/ has no rank in scripts/layers.js`);
}

for (const failure of failures) console.error(`layers: ${failure}`);
if (failures.length > 0) process.exitCode = 1;
else console.log(`${cases.length} imports judged as they should be, ${files.length} files all in rooms with a rank`);
