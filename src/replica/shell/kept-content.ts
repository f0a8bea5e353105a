/** Content that lies in history over there, and is copied or compared there: none of it is on the way. */
import type { RelPath } from '../../tree/path.ts';
import { baseName, parentPath } from '../../tree/path.ts';
import { mtimeUs } from '../../tree/entry.ts';
import { InterruptedError } from '../../base/errors.ts';
import type { Version } from '../local/history/read.ts';
import type { Bring } from './apply.ts';
import type { Received } from './content-in.ts';
import type { FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';
import { plainReason } from './complaints.ts';
import { touchTime } from './touch-time.ts';

/** Files in one command: what can be cancelled in between. */
const batchFiles = 200;

/**
 * Copies versions into staging. What a step's content comes `from` is `<run>/<place>`.
 *
 * @param historyPath `.lockstep/history` of the root that kept them
 */
export function copyKept(root: FarRoot, historyPath: string): Bring {
  return async (stager, { wanted, placeOf, signal, onBytes }) => {
    await stager.settle();
    const received: Received[] = [];
    let bytes = 0;
    for (let at = 0; at < wanted.length; at += batchFiles) {
      if (signal.aborted) throw new InterruptedError();
      const batch = wanted.slice(at, at + batchFiles);
      const places = batch.map((one) => placeOf(one));
      const input = batch.map(({ from, source }, index) => {
        const { name = '', mode = 0 } = places[index] ?? {};
        const dress = `${mode.toString(8)} ${touchTime(root.tools.touch, mtimeUs(source))}\n`;
        return Buffer.concat([Buffer.from(dress), lineInput(from, name)]);
      });
      const failures = await numbered(root, {
        code: `bring ${batch.length}`,
        input: [lineInput(historyPath), ...input],
      });
      for (const [index, { source }] of batch.entries()) {
        bytes += source.size;
        const said = failures.get(index);
        if (said === undefined) received.push({ ok: true, digest: undefined });
        else {
          const why = /no space|quota/i.test(said) ? 'no-space' : 'failed';
          received.push({ ok: false, failure: { why, detail: said } });
        }
      }
      onBytes(bytes);
    }
    return received;
  };
}

/** Which files have just the content of a version. Without a tool to compare them none has, as far as we can know. */
export async function sameAsKept(
  root: FarRoot,
  historyPath: string,
  pairs: readonly { to: RelPath; version: Version }[],
): Promise<Set<RelPath>> {
  const same = new Set<RelPath>();
  for (let at = 0; at < pairs.length; at += batchFiles) {
    const batch = pairs.slice(at, at + batchFiles);
    const lines = batch.map(({ to, version }) =>
      lineInput(`${version.runId}/${version.at}`, parentPath(to), baseName(to)),
    );
    const answers = await numbered(root, {
      code: `samekept ${batch.length}`,
      input: [lineInput(historyPath), ...lines],
    });
    for (const index of answers.keys()) {
      const pair = batch[index];
      if (pair !== undefined) same.add(pair.to);
    }
  }
  return same;
}

/** Whom a version belongs to: the numbers of user and group, with a space between. */
export async function ownersOf({ session }: FarRoot, historyPath: string, version: Version): Promise<string> {
  const input = lineInput(historyPath, `${version.runId}/${version.at}`);
  const { output } = await session.run({ code: 'keptowner', input, limit: 256 });
  return output.toString('latin1').trim();
}

/** What a command says of things by their numbers. */
async function numbered(
  { session }: FarRoot,
  command: { code: string; input: readonly Uint8Array[] },
): Promise<Map<number, string>> {
  const { output } = await session.run({ ...command, limit: 1 << 20 });
  const said = new Map<number, string>();
  for (const line of output.toString('utf8').split('\n')) {
    const match = /^(\d{1,9}) (.*)$/.exec(line);
    if (match !== null) said.set(Number(match[1]), plainReason((match[2] ?? '').split(': ').pop() ?? ''));
  }
  return said;
}
