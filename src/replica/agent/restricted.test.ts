/** Served roots and nothing else, whatever their directories become meanwhile. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LocalReplica } from '../local/local-replica.ts';
import type { OpenedRoot, OpenRequest } from '../replica.ts';
import { RestrictedReplica } from './restricted.ts';

let dir: string;
beforeEach(() => {
  dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-served-')));
  for (const name of ['srv/x/inside', 'outside/secret']) fs.mkdirSync(path.join(dir, name), { recursive: true });
});
afterEach(() => {
  fs.rmSync(dir, { recursive: true, force: true });
});

function request(root: string, more: Partial<OpenRequest> = {}): OpenRequest {
  const run = { runId: '20260101T000000.000Z-00000000', command: 'test', forceUnlock: false };
  return { root: path.join(dir, root), access: 'write', marks: false, create: false, ...run, ...more };
}

/** @param meanwhile what somebody does just before the replica behind it opens what it was given */
function served(meanwhile: (path: string) => void = () => undefined): RestrictedReplica {
  const inner = new LocalReplica({ piped: true });
  const open = inner.open.bind(inner);
  vi.spyOn(inner, 'open').mockImplementation(async (asked: OpenRequest): Promise<OpenedRoot> => {
    meanwhile(asked.root);
    return open(asked);
  });
  return new RestrictedReplica(inner, { roots: [path.join(dir, 'srv')], readOnly: false });
}

describe('what is served', () => {
  it.each(['srv', 'srv/x', 'srv/x/inside'])('is %s', async (root) => {
    const replica = served();
    await replica.open(request(root));
    await replica.close();
    expect(fs.readdirSync(path.join(dir, root)).includes('.lockstep')).toBe(false);
  });

  it('is a directory that has to be made', async () => {
    const replica = served();
    expect((await replica.open(request('srv/new/one', { create: true }))).created).toBe(true);
    expect(fs.statSync(path.join(dir, 'srv/new/one')).isDirectory()).toBe(true);
    await replica.close();
  });

  it.each(['srv/.lockstep', 'srv/.lockstep/history', 'srv/x/.LOCKSTEP', 'srv/own', 'srv/.lock\u200cstep'])(
    'is not %s',
    async (root) => {
      fs.mkdirSync(path.join(dir, 'srv/.lockstep/history'), { recursive: true });
      fs.symlinkSync('.lockstep', path.join(dir, 'srv/own'));
      const refused = { message: expect.stringContaining('is not served there') as string };
      const replica = served();
      await expect(replica.open(request(root, { create: true }))).rejects.toMatchObject(refused);
      await expect(replica.probe(path.join(dir, root))).rejects.toMatchObject(refused);
      await expect(replica.history(path.join(dir, root), '')).rejects.toMatchObject(refused);
    },
  );
});

it('what a file stands in the way of is told as that, and not as a failure', async () => {
  fs.writeFileSync(path.join(dir, 'srv/file'), '');
  expect(await served().probe(path.join(dir, 'srv/file/in'))).toMatchObject({ kind: 'other' });
  await expect(served().open(request('srv/file/in', { create: true }))).rejects.toMatchObject({ code: 'io' });
});

const swap = (): void => {
  fs.renameSync(path.join(dir, 'srv/x'), path.join(dir, 'srv/y'));
  fs.symlinkSync('../outside', path.join(dir, 'srv/x'));
};

it.runIf(process.platform === 'linux')(
  'a directory that is swapped for a link stays the one that was checked',
  async () => {
    let seen: string[] = [];
    const replica = served((given) => {
      swap();
      seen = fs.readdirSync(given);
    });
    await replica.open(request('srv/x'));
    expect(seen).toEqual(['inside']);
    expect(fs.existsSync(path.join(dir, 'srv/y/.lockstep/lock'))).toBe(true);
    await replica.close();
    expect(fs.readdirSync(path.join(dir, 'outside'))).toEqual(['secret']);
  },
);

it('one that was swapped before is refused', async () => {
  swap();
  await expect(served().open(request('srv/x'))).rejects.toMatchObject({ code: 'io' });
  expect(fs.readdirSync(path.join(dir, 'outside'))).toEqual(['secret']);
});
