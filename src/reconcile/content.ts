/**
 * Is this content the same? Answered from metadata where that is safe, from digests where it is not (DESIGN §3.4, §3.5).
 * Every question may be answered "unknown": then the path is put down as needing a digest and decided in a later pass.
 */
import { isRacy, sameFingerprint, type Entry } from '../tree/entry.ts';
import type { RelPath } from '../tree/path.ts';
import type { Quad, ReconcileInput } from './input.ts';
import { otherSide, type Side } from './options.ts';
import type { DigestNeed } from './plan.ts';

/** `unknown`: a digest is needed first. `unreadable`: it was asked for and could not be had. */
export type Answer = 'same' | 'different' | 'unknown' | 'unreadable';

export class ContentQuestions {
  /** Everything that has to be hashed before the next pass. */
  readonly needs: DigestNeed[] = [];
  readonly #asked = new Set<string>();

  constructor(
    /** What the questions are about; replaced when planned renames are taken as done. */
    public input: ReconcileInput,
  ) {}

  /** Is a side's file or symlink what that side recorded? Both entries are of the same kind. */
  sinceBase(quad: Quad, side: Side): Answer {
    const base = quad.base[side];
    const now = quad.now[side];
    if (base === undefined || now?.kind !== base.kind) return 'different';
    if (now.kind === 'symlink') return now.target === base.target ? 'same' : 'different';
    if (now.size !== base.size) return 'different';
    const untouched = looksUntouched(base, now);
    if (untouched && !this.input.options.checksum) return 'same';
    return this.#contentSinceBase(quad, side, now, untouched);
  }

  /**
   * Is a change of permission bits all that the metadata shows on a side? It moves the ctime, so the content cannot be
   * certain without a digest on record; whoever goes by this must keep what it replaces.
   */
  onlyModeChanged(quad: Quad, side: Side): boolean {
    const base = quad.base[side];
    const now = quad.now[side];
    if (base?.kind !== 'file' || now?.kind !== 'file' || base.mode === now.mode) return false;
    return sameFingerprint({ ...base, mode: now.mode, ctimeNs: now.ctimeNs }, now) && !isRacy(base);
  }

  /**
   * Is the ctime all that moved on a side, and no digest on record that could say more? A link that was made and removed or
   * bits that were changed back do that, and so does an edit that took care to restore size and mtime: whoever goes by
   * this must keep what it replaces.
   */
  onlyCtimeMoved(quad: Quad, side: Side): boolean {
    const base = quad.base[side];
    const now = quad.now[side];
    if (base?.kind !== 'file' || now?.kind !== 'file' || this.input.base.digests.has(quad.path)) return false;
    return sameFingerprint({ ...base, ctimeNs: now.ctimeNs }, now) && !isRacy(base);
  }

  /** Does the metadata alone show that nothing changed since the record? */
  #isTrusted(base: Entry, now: Entry): boolean {
    return !this.input.options.checksum && looksUntouched(base, now);
  }

  /**
   * The metadata moved (or is not to be trusted) while the size stayed: only content can tell. Where there is none to
   * compare with, what looks untouched counts as that: with --checksum, too, a deletion or an edit of the other side is
   * carried over.
   */
  #contentSinceBase(quad: Quad, side: Side, now: Entry, untouched: boolean): Answer {
    const recorded = this.input.base.digests.get(quad.path);
    if (recorded !== undefined) {
      const digest = this.digest(side, quad.path, now);
      return digest instanceof Uint8Array ? compareBytes(digest, recorded) : digest;
    }
    // No digest on record: the other side's file stands for the agreed content if it is untouched itself.
    const other = otherSide(side);
    const [otherBase, otherNow] = [quad.base[other], quad.now[other]];
    if (otherBase === undefined || otherNow?.kind !== 'file' || !looksUntouched(otherBase, otherNow)) {
      return untouched ? 'same' : 'different';
    }
    return this.#compare(now, side, quad.path, otherNow, other, quad.path);
  }

  /** Are the two sides' files or symlinks the same now? */
  acrossSides(quad: Quad): Answer {
    const { a, b } = quad.now;
    if (a === undefined || a.kind !== b?.kind) return 'different';
    if (a.kind === 'symlink') return a.target === b.target ? 'same' : 'different';
    if (a.size !== b.size) return 'different';
    if (a.size === 0) return 'same';
    const { base } = quad;
    const trusted =
      base.a !== undefined && base.b !== undefined && this.#isTrusted(base.a, a) && this.#isTrusted(base.b, b);
    if (trusted) return 'same';
    return this.#compare(a, 'a', quad.path, b, 'b', quad.path);
  }

  /** Is `now` at `path` on `side` the same content as `other` at `otherPath` on the other side? Sizes are equal. */
  sameContent(side: Side, path: RelPath, now: Entry, otherPath: RelPath, other: Entry): Answer {
    if (now.size !== other.size) return 'different';
    return this.#compare(now, side, path, other, otherSide(side), otherPath);
  }

  /** A file's digest, or `unknown` after noting that it is needed. */
  digest(side: Side, path: RelPath, expect: Entry): Uint8Array | 'unknown' | 'unreadable' {
    const answer = this.input[side].digests.get(path);
    if (answer === undefined) {
      const key = `${side}${path}`;
      if (!this.#asked.has(key)) this.needs.push({ side, path, at: path, expect });
      this.#asked.add(key);
      return 'unknown';
    }
    // A file that changed under the hash is taken for unreadable: unknown this time, met again by the next cycle.
    return answer instanceof Uint8Array ? answer : 'unreadable';
  }

  #compare(x: Entry, xSide: Side, xPath: RelPath, y: Entry, ySide: Side, yPath: RelPath): Answer {
    const dx = this.digest(xSide, xPath, x);
    const dy = this.digest(ySide, yPath, y);
    if (dx === 'unreadable' || dy === 'unreadable') return 'unreadable';
    if (dx === 'unknown' || dy === 'unknown') return 'unknown';
    return compareBytes(dx, dy);
  }
}

function looksUntouched(base: Entry, now: Entry): boolean {
  return sameFingerprint(base, now) && !isRacy(base);
}

function compareBytes(x: Uint8Array, y: Uint8Array): Answer {
  return x.length === y.length && x.every((byte, i) => byte === y[i]) ? 'same' : 'different';
}
