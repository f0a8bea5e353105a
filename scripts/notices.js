/**
 * Writes THIRD_PARTY_NOTICES.md: the licence of every package of which code is inside the bundles.
 *
 *     node scripts/notices.js [--check]
 *
 * With `--check` it writes nothing and fails when the file is not what it should be, so that a new or updated package
 * cannot be published without its licence. The list comes from the bundler, not from package.json: what was shaken out
 * needs no notice, and what came in through another package does.
 */

import fs from 'node:fs';
import path from 'node:path';
import prettier from 'prettier';
import { bundle } from './build.js';

const root = path.dirname(import.meta.dirname);
const file = path.join(root, 'THIRD_PARTY_NOTICES.md');

/** @returns {string | undefined} the directory of the package that a module belongs to; none for our own and virtual ones */
function packageOf(moduleId) {
  return /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(moduleId)?.[1];
}

function describe(dir) {
  const { name, version, license } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'));
  const texts = fs
    .readdirSync(dir)
    .filter((entry) => /^(licen[cs]e|copying|notice)/i.test(entry))
    .sort()
    .map((entry) => fs.readFileSync(path.join(dir, entry), 'utf8').trim());
  if (texts.length === 0) throw new Error(`${name} comes without a licence text`);
  return { name, version, section: `## ${name} ${version}\n\n${license}\n\n${texts.map(fence).join('\n\n')}` };
}

function fence(text) {
  return `\`\`\`text\n${text.replaceAll('\r\n', '\n')}\n\`\`\``;
}

async function notices() {
  const modules = (await bundle()).flatMap((chunk) => chunk.moduleIds);
  const packages = [...new Set(modules.map(packageOf).filter((dir) => dir !== undefined))]
    .map(describe)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const head =
    '# Third-party notices\n\nLockstep is published as bundles that contain code of the packages below, under their licences.' +
    '\nWritten by `scripts/notices.js`.';
  const text = [head, ...packages.map(({ section }) => section)].join('\n\n') + '\n';
  const options = await prettier.resolveConfig(file);
  return { text: await prettier.format(text, { ...options, parser: 'markdown' }), count: packages.length };
}

const { text, count } = await notices();
const current = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
if (text === current) {
  console.log(`THIRD_PARTY_NOTICES.md is up to date (${count} packages)`);
} else if (process.argv.includes('--check')) {
  console.error('THIRD_PARTY_NOTICES.md is not up to date: run `npm run notices` and commit it');
  process.exitCode = 1;
} else {
  fs.writeFileSync(file, text);
  console.log(`wrote THIRD_PARTY_NOTICES.md (${count} packages)`);
}
