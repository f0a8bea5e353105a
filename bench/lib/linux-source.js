import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.js';

/** What DESIGN's figures were taken with: Debian 12's kernel source, 78,579 files and 5,096 directories. */
const PACKAGE = 'linux-source-6.1';
const TARBALL = `usr/src/${PACKAGE}.tar.xz`;

/**
 * The unpacked tree, made on first use and kept for later runs. Where there is no Debian, put any large source tree at
 * `<data>/linux` and it is taken as it is.
 *
 * @param {string} data
 * @param {(text: string) => void} say
 * @returns {Promise<string>}
 */
export async function linuxSource(data, say) {
  const tree = join(data, 'linux');
  if (existsSync(tree)) return tree;
  const tarball = await findTarball(data, say);
  say(`unpacking ${PACKAGE}`);
  const partial = `${tree}.partial`;
  await run(['rm', '-rf', partial]);
  mkdirSync(partial, { recursive: true });
  await run(['tar', '-xJf', tarball, '-C', partial, '--strip-components=1']);
  renameSync(partial, tree);
  return tree;
}

/**
 * The tarball as the package installed it or, when it is not installed, out of a downloaded package: that needs neither
 * root nor a change to the system.
 *
 * @param {string} data
 * @param {(text: string) => void} say
 */
async function findTarball(data, say) {
  const installed = `/${TARBALL}`;
  if (existsSync(installed)) return installed;
  const dir = join(data, 'package');
  const unpacked = join(dir, TARBALL);
  if (existsSync(unpacked)) return unpacked;
  say(`downloading ${PACKAGE}`);
  mkdirSync(dir, { recursive: true });
  try {
    await download(dir);
  } catch (error) {
    throw new Error(`no ${PACKAGE} here and none to be had; put a large source tree at ${join(data, 'linux')}`, {
      cause: error,
    });
  }
  const deb = readdirSync(dir).find((name) => name.endsWith('.deb'));
  await run(['dpkg-deb', '-x', join(dir, deb ?? ''), dir]);
  return unpacked;
}

/** @param {string} dir */
async function download(dir) {
  const get = ['apt-get', 'download', PACKAGE];
  try {
    await run(get, { cwd: dir });
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    await run(['apt-get', 'update']); // A fresh container has no package lists.
    await run(get, { cwd: dir });
  }
}
