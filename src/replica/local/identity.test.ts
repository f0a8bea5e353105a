import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { LocalReplica } from './local-replica.ts';

it.runIf(process.platform === 'linux')(
  'is that of the directory that is open, whatever its path leads to',
  async () => {
    const dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-identity-')));
    onTestFinished(() => fs.rmSync(dir, { recursive: true }));
    const root = path.join(dir, 'root');
    fs.mkdirSync(root);
    const { dev, ino } = fs.statSync(root, { bigint: true });
    // Asked of the file system once the directory is open.
    const swap = vi.spyOn(fs, 'statfsSync').mockImplementationOnce((...args) => {
      fs.renameSync(root, path.join(dir, 'elsewhere'));
      fs.mkdirSync(root);
      return fs.statfsSync(...args);
    });
    const replica = new LocalReplica();
    const how = { access: 'read', marks: false, create: false, command: 'test', forceUnlock: false } as const;
    const { identity } = await replica.open({ root, runId: 'run', ...how });
    expect(swap).toHaveBeenCalled();
    swap.mockRestore();
    await replica.close();
    expect(identity).toBe(`${dev}:${ino}`);
  },
);
