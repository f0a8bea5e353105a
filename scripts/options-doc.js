/**
 * Writes docs/options.md from what the commands say of themselves in `--help`, which is made from the schema in
 * src/workspace/options.ts.
 *
 *     node scripts/options-doc.js [--check]     --check: only tell whether it is up to date
 *
 * Uses `dist/`, so build first.
 */

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const target = path.join(root, 'docs/options.md');
const commands = ['sync', 'push', 'pull', 'history', 'restore', 'serve'];

const intro = `# Options

Made from \`--help\` by \`scripts/options-doc.js\`: do not edit. What the options mean in depth: [syncing](syncing.md),
[ignoring](ignoring.md), [history](history.md), [safety](safety.md). Options may stand before or after the roots;
of those that take several values (\`<name...>\`), a line of which two readings are possible is refused.
`;

/** @returns {string} a command's help, at the width of a terminal that does not matter here */
function helpOf(command) {
  const cli = path.join(root, 'dist/lockstep.cjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, command, '--help'], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  if (status !== 0) throw new Error(`lockstep ${command} --help failed: ${stderr}`);
  return stdout;
}

function section(command) {
  return `## lockstep ${command}\n\n\`\`\`\n${helpOf(command).trimEnd()}\n\`\`\`\n`;
}

const text = [intro, ...commands.map(section)].join('\n');
const current = fs.existsSync(target) ? fs.readFileSync(target, 'utf8') : '';
if (!process.argv.includes('--check')) fs.writeFileSync(target, text);
else if (current !== text) {
  console.error('docs/options.md is not what the commands say: run node scripts/options-doc.js');
  process.exitCode = 1;
}
