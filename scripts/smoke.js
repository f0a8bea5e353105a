/**
 * Packs the package, installs the tarball in an empty directory as a user would, and uses what was installed: the
 * command, the library and its types. Finds what no test inside the checkout can: a file missing from the package, a
 * dependency that only the checkout has, a lost executable bit.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const temp = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-smoke-')));
const project = path.join(temp, 'project');
const installed = path.join(project, 'node_modules', manifest.name);

/** Nothing of the user's own state is read or written. */
const env = { ...process.env, XDG_STATE_HOME: path.join(temp, 'state'), XDG_CONFIG_HOME: path.join(temp, 'config') };

/** @returns {string} the program's stdout; throws with all of its output when it fails */
function run(command, args, cwd = project) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) {
    const end = error?.message ?? signal ?? `exit ${status}`;
    throw new Error(`${[command, ...args].join(' ')}: ${end}\n${stdout ?? ''}${stderr ?? ''}`);
  }
  return stdout;
}

const filesBelow = (dir) =>
  fs
    .readdirSync(dir, { recursive: true })
    .filter((name) => !fs.lstatSync(path.join(dir, name)).isDirectory())
    .sort();

/** A tree as data, for comparing: Lockstep's own directory is not part of it. */
function treeOf(dir) {
  const names = fs.readdirSync(dir, { recursive: true }).filter((name) => name.split('/')[0] !== '.lockstep');
  return names.sort().map((name) => {
    const file = path.join(dir, name);
    const stat = fs.lstatSync(file);
    if (stat.isSymbolicLink()) return [name, 'link', fs.readlinkSync(file)];
    if (stat.isDirectory()) return [name, 'directory'];
    return [name, stat.mode & 0o777, fs.readFileSync(file, 'utf8')];
  });
}

function write(dir, name, text, mode = 0o644) {
  const file = path.join(dir, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text, { mode });
}

const checks = {
  'packs and installs offline, without dependencies'() {
    fs.mkdirSync(project);
    // npm runs `prepack`, so that what is packed is a fresh build.
    run('npm', ['pack', '--silent', '--pack-destination', temp], root);
    const tarball = fs.readdirSync(temp).find((name) => name.endsWith('.tgz'));
    fs.writeFileSync(path.join(project, 'package.json'), '{"private":true}');
    run('npm', ['install', '--no-audit', '--no-fund', '--offline', path.join(temp, tarball)]);
    const packages = fs.readdirSync(path.dirname(installed)).filter((name) => !name.startsWith('.'));
    assert.deepEqual(packages, [manifest.name]);
  },
  'holds what it should and nothing else'() {
    const files = filesBelow(installed);
    const plain = ['CHANGELOG.md', 'LICENSE', 'README.md', 'THIRD_PARTY_NOTICES.md', 'package.json'];
    const allowed = (name) =>
      plain.includes(name) ||
      /^dist\/(lockstep|cli|agent|agent-worker)\.cjs$|^dist\/index\.js$/.test(name) ||
      /^dist\/chunks\/[^/]+\.c?js$|^dist\/types\/.+\.d\.ts$/.test(name);
    assert.deepEqual(
      files.filter((name) => !allowed(name)),
      [],
    );
    const dist = ['lockstep.cjs', 'cli.cjs', 'agent.cjs', 'agent-worker.cjs', 'index.js', 'types/index.d.ts'];
    const needed = [...plain, ...dist.map((name) => `dist/${name}`)];
    assert.deepEqual(
      needed.filter((name) => !files.includes(name)),
      [],
      'missing from the package',
    );
    const withPaths = files.filter((name) => fs.readFileSync(path.join(installed, name), 'utf8').includes(`${root}/`));
    assert.deepEqual(withPaths, [], 'files that name a directory of the machine that built them');
  },
  'tells its version'() {
    assert.equal(run('npx', ['--offline', 'lockstep', '--version']).trim(), manifest.version);
    assert.equal(run(path.join(project, 'node_modules/.bin/lockstep'), ['--version']).trim(), manifest.version);
  },
  'syncs two directories'() {
    const [a, b] = ['a', 'b'].map((name) => path.join(project, name));
    write(a, 'from-a.txt', 'a');
    write(a, 'deep/er/run.sh', '#!/bin/sh\n', 0o755);
    write(a, 'größe – 大.txt', 'unicode');
    fs.symlinkSync('from-a.txt', path.join(a, 'link'));
    write(b, 'from-b.txt', 'b');
    run('npx', ['--offline', 'lockstep', 'sync', 'a', 'b']);
    assert.deepEqual(treeOf(a), treeOf(b));
    assert.equal(treeOf(a).length, 7);
    fs.rmSync(path.join(b, 'from-a.txt'));
    write(b, 'from-b.txt', 'edited');
    run('npx', ['--offline', 'lockstep', 'sync', 'a', 'b']);
    assert.deepEqual(treeOf(a), treeOf(b));
    assert.equal(treeOf(a).length, 6);
    assert.equal(fs.readFileSync(path.join(a, 'from-b.txt'), 'utf8'), 'edited');
  },
  'is a library'() {
    const code = "import('lockstep').then((m) => console.log(typeof m.sync, typeof m.push, typeof m.pull))";
    assert.equal(run(process.execPath, ['-e', code]).trim(), 'function function function');
  },
  'has types that stand on their own'() {
    fs.writeFileSync(
      path.join(project, 'user.ts'),
      "import { pull, push, sync } from 'lockstep';\nexport const used: unknown[] = [pull, push, sync];\n" +
        '// @ts-expect-error: proves that the types are there at all\nexport const wrong: number = sync;\n',
    );
    const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')];
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', 'false'];
    run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), 'user.ts', ...options, ...types]);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.message.replace(/^/gm, '        ')}`);
  }
}
fs.rmSync(temp, { recursive: true, force: true });
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
