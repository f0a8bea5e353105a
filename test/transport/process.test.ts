/** Processes with pipes: nothing hangs, nothing is left behind. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { spawnPiped, type PipedProcess } from '../../src/transport/process.ts';
import { markProcesses, noSurvivors, survivors } from '../support/survivors.ts';
import { readAll } from './support.ts';

let mark: string;
beforeAll(() => {
  mark = markProcesses();
});
afterEach(() => noSurvivors(mark));

const sh = (script: string, options?: Parameters<typeof spawnPiped>[1]): Promise<PipedProcess> =>
  spawnPiped(['sh', '-c', script], options);

/** Waits until a process has printed something: then it is up. */
async function firstOutput(process: PipedProcess): Promise<string> {
  return new Promise((resolve) => process.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())));
}

describe.each([
  ['in a session of its own', false],
  ['at the terminal', true],
])('a process %s', (_name, needsTerminal) => {
  it('has streams that count', async () => {
    const process = await sh('cat', { needsTerminal });
    process.stdin.end('hello');
    expect((await readAll(process.stdout)).toString()).toBe('hello');
    expect(await process.exited).toEqual({ code: 0, signal: undefined });
    expect([process.bytesIn, process.bytesOut]).toEqual([5, 5]);
  });

  it('gets its arguments as they are', async () => {
    const process = await spawnPiped(['printf', '%s|', '-n', '', '$x', 'a b', '"', "'"], { needsTerminal });
    expect((await readAll(process.stdout)).toString()).toBe(`-n||$x|a b|"|'|`);
    await process.exited;
  });

  it('ends when its input does', async () => {
    const process = await sh('cat >/dev/null; exit 7', { needsTerminal });
    expect(await process.close()).toEqual({ code: 7, signal: undefined });
  });

  it('ends even if its output is not read', async () => {
    const process = await sh('head -c 1000000 /dev/zero; exit 7', { needsTerminal });
    expect(await process.close()).toEqual({ code: 7, signal: undefined });
  });

  it('is killed when it does not end', async () => {
    const process = await sh('exec sleep 1000', { needsTerminal });
    expect(await process.close(50)).toEqual({ code: undefined, signal: 'SIGTERM' });
  });

  it('is killed the hard way when it does not listen', async () => {
    const process = await sh('trap "" TERM; echo up; while :; do sleep 0.05; done', { needsTerminal });
    await firstOutput(process);
    expect(await process.kill()).toEqual({ code: undefined, signal: 'SIGKILL' });
  });

  it('is killed by a signal', async () => {
    const stop = new AbortController();
    const process = await sh('exec sleep 1000', { needsTerminal, signal: stop.signal });
    stop.abort();
    expect(await process.exited).toEqual({ code: undefined, signal: 'SIGTERM' });
    await expect(sh('true', { needsTerminal, signal: stop.signal })).rejects.toThrow('abort');
  });

  it('can be written to after its end', async () => {
    const process = await sh('exit 1', { needsTerminal });
    await process.exited;
    process.stdin.write(Buffer.alloc(1_000_000));
    expect(await process.close()).toEqual({ code: 1, signal: undefined });
    expect(await process.kill()).toEqual({ code: 1, signal: undefined });
  });

  it('survives Ctrl-C', async () => {
    const process = await sh('echo $$; exec cat', { needsTerminal });
    const pid = Number(await firstOutput(process));
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ');
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    // Either no terminal sends it anything, because its session is its own, or it does not care.
    const ownSession = stat[5] === String(pid);
    const ignored = BigInt(`0x${/SigIgn:\s*([0-9a-f]+)/.exec(status)?.[1] ?? '0'}`);
    const ignoresInterrupt = (ignored & (1n << BigInt(os.constants.signals.SIGINT - 1))) !== 0n;
    expect({ ownSession, ignoresInterrupt }).toEqual({ ownSession: !needsTerminal, ignoresInterrupt: needsTerminal });
    await process.close();
  });
});

it('keeps the last words, and passes them on by line', async () => {
  const lines: string[] = [];
  const process = await sh(
    `head -c 10000 /dev/zero | tr '\\0' x >&2; printf 'one\\r\\ntwo\\n\\303' >&2; printf '\\251nd' >&2`,
    {
      onStderr: (line) => lines.push(line),
    },
  );
  process.stdin.end();
  await process.exited;
  expect(process.stderrTail()).toMatch(/^x+one\r\ntwo\nénd$/);
  expect(Buffer.byteLength(process.stderrTail())).toBe(4096);
  expect(lines.join('\n')).toMatch(/^[x\n]+one\ntwo\nénd$/);
});

it('takes its helpers along', async () => {
  const process = await sh('sleep 1000 & sleep 1000 & echo up; wait');
  await firstOutput(process);
  expect(survivors(mark)).toHaveLength(3);
  await process.kill();
});

it('does not wait for a grandchild that holds the pipes', async () => {
  const process = await sh('sleep 3 & exit 3');
  expect(await process.close()).toEqual({ code: 3, signal: undefined });
});

it('leaves nothing behind when the program exits without a word', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-exit-'));
  const build = await rolldown({ input: 'src/transport/process.ts', platform: 'node' });
  await build.write({ file: path.join(dir, 'process.mjs'), format: 'esm' });
  await build.close();
  fs.writeFileSync(
    path.join(dir, 'main.mjs'),
    `import { spawnPiped } from './process.mjs';
     const one = await spawnPiped(['sh', '-c', 'echo up; exec sleep 1000']);
     one.stdout.once('data', () => process.exit(0));`,
  );
  await promisify(execFile)(process.execPath, [path.join(dir, 'main.mjs')]);
  await noSurvivors(mark);
  fs.rmSync(dir, { recursive: true });
});
