/** What the far program takes from its stdin, in a real shell. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { applyProgram } from './program-apply.ts';
import { program, programStart } from './program.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-program-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Runs a line of code of the program, with so much behind it. @param tools scripts that go before the real tools */
function run(code: string, input: Uint8Array, tools: Record<string, string> = {}): ReturnType<typeof spawnSync> {
  const bin = fs.mkdtempSync(path.join(dir, 'bin-'));
  for (const [name, script] of Object.entries(tools)) {
    fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const file = path.join(bin, 'program');
  fs.writeFileSync(file, `${programStart({ answer: 'm', record: 'r' })}${program}${applyProgram}\n${code}\n`);
  return spawnSync('sh', [file], { input, cwd: bin, env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } });
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

describe('take', () => {
  const sizes = [
    0,
    1,
    511,
    10_240,
    30_720,
    40_960,
    65_535,
    65_536,
    131_072,
    999_999,
    1 << 20,
    (1 << 20) + 1,
    2_500_001,
  ];

  it.each(sizes)('takes %i bytes as they are, and no more', (size) => {
    const bytes = randomBytes(size);
    const { stdout } = run(`take ${size} | sha256sum; cat`, Buffer.concat([bytes, Buffer.from('rest')]));
    expect(stdout.toString()).toBe(`${sha256(bytes)}  -\nrest`);
  });

  // The first dd of some has taken all that it was to take, and passed on but a part.
  const dd =
    'if [ -e first ]; then exec /usr/bin/dd "$@"; fi; : >first; /usr/bin/dd "$@" | { head -c 5000; cat >/dev/null; }; kill -9 $$';

  it.each(sizes.filter((size) => size > 5000))('goes on with nothing when a dd is killed over %i bytes', (size) => {
    const { stdout } = run(`rm -f first; take ${size} | cat >got; echo went on`, randomBytes(size + 4), { dd });
    expect(stdout.toString()).toBe('');
  });
});

/** In a root of its own. */
const opened = 'mkdir -p root/.lockstep; cd root; R=$PWD; Q=$R';

describe('what is small', () => {
  it('is put in its place only when all of it has come', () => {
    const show = 'cat .lockstep/id';
    expect(
      run(`${opened}; echo before >.lockstep/id; put 5; ${show}`, Buffer.from('id\nafter')).stdout.toString(),
    ).toBe('after');
    expect(
      run(`${opened}; echo before >.lockstep/id; put 9; ${show}`, Buffer.from('id\nafter')).stdout.toString(),
    ).toBe('before\n');
  });

  it('is removed only as long as it is what was looked at', () => {
    const code = `${opened}; printf theirs >.lockstep/lock; unlock 6; ls .lockstep`;
    expect(run(code, Buffer.from('lock\nlock.judged\ntheirs')).stdout.toString()).toBe('');
    expect(run(code, Buffer.from('lock\nlock.judged\nothers')).stdout.toString()).toBe('lock\n');
  });
});

it('a name that nobody could read is not the root', () => {
  expect(run('line; printf %s "<$N>"', Buffer.from('a\\040b\n')).stdout.toString()).toBe('<a b>');
  expect(run('printf() { :; }; line; echo went on', Buffer.from('a\\040b\n')).stdout.toString()).toBe('');
});

it('what is parked is there when everything else is put away', () => {
  const park = 'stage run b1 >/dev/null; mkdir "$S/parked"; echo only >"$S/parked/1"; printf f >"$S/parked/1.name"';
  const show = '(trap - EXIT; find .lockstep -type f)';
  expect(run(`${opened}; ${park}; unstage; ${show}`, Buffer.alloc(0)).stdout.toString().split('\n').sort()).toEqual([
    '',
    '.lockstep/staging/run/parked/1',
    '.lockstep/staging/run/parked/1.name',
  ]);
});

describe('an archive for cpio', () => {
  const staged = `${opened}; stage run b1 >/dev/null`;
  const archive = randomBytes(300_000);
  const stream = Buffer.concat([archive, Buffer.from('m behind\n'), archive, Buffer.from('m behind\nafter')]);
  const two = `uncpio ${archive.length}; echo "status $?"; uncpio ${archive.length}; echo "status $?"; cat`;

  it.each([
    [
      'takes all',
      'head -c 300000 >/dev/null; echo "12 blocks" >&2',
      ['12 blocks', 'status 0', '12 blocks', 'status 0'],
    ],
    ['gives up', 'head -c 5000 >/dev/null; echo no >&2; exit 1', ['no', 'status 1', 'status 1']],
    ['gives up in the end', 'head -c 300000 >/dev/null; exit 1', ['status 1', 'status 1']],
    ['does nothing', 'exit 1', ['status 1', 'status 1']],
    ['is killed', 'head -c 5000 >/dev/null; kill -9 $$', ['cpio was killed (137)', 'status 137', 'status 1']],
  ])('that %s is over at its end', (_, cpio, said) => {
    const { stdout } = run(`${staged}; ${two}`, stream, { cpio });
    expect(stdout.toString().split('\n')).toEqual([...said, 'after']);
  });

  it('that is said to be done and is not ends everything', () => {
    const { stdout } = run(`${staged}; ${two}`, stream, { cpio: 'head -c 5000 >/dev/null' });
    expect(stdout.toString()).toBe('');
  });
});
