import type { Entry } from '../../tree/entry.ts';

/** As `matches` of replica/local/stat.ts. */
export function isAs(now: Entry | undefined, expect: Entry | undefined): boolean {
  if (now === undefined || expect === undefined) return now === expect;
  if (now.kind !== expect.kind) return false;
  if (expect.ino !== 0n && now.ino !== expect.ino) return false;
  if (now.kind === 'dir') return true;
  if (now.kind === 'symlink') return now.target === expect.target;
  if (now.size !== expect.size || now.mtimeNs !== expect.mtimeNs) return false;
  return expect.ctimeNs === 0n || now.ctimeNs === expect.ctimeNs;
}
