/** Putting things into staging over there: archives of many, and single large files. */
import { baseName, parentPath, type RelPath } from '../../tree/path.ts';
import type { Failure } from '../replica.ts';
import type { ArchiveWriter } from './archive.ts';
import { CpioWriter, type CpioOptions } from './cpio.ts';
import { cutShort, readTimed, type FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';
import type { Found } from './records.ts';
import type { Answer } from './session.ts';
import { plainReason } from './complaints.ts';
import { TarWriter } from './tar.ts';
import { touchTime } from './touch-time.ts';

/** An archive is sent once it has so much: soon where there is nothing to do over there, else fewer larger ones. */
const archiveBytes = { idle: 1 << 20, busy: 8 << 20 };

export interface LargeFile {
  append(piece: Uint8Array): Promise<void>;
  /** Blocks of a file in the root, without sending them. */
  copy(from: RelPath, blocks: { bytes: number; first: number; count: number }): Promise<void>;
  /** Makes it so long, with nothing in what is added. */
  extend(size: number): Promise<void>;
  /** @returns whether it is in staging; not so when something of it could not be written, which is complained of */
  finish(mode: number, mtimeUs: bigint): Promise<boolean>;
  discard(): Promise<void>;
}

export class Stager {
  readonly #root: FarRoot;
  /** A directory in staging that nothing else puts anything into: another batch may be staged at the same time. */
  readonly #own: string;
  /** The archive that is being filled. */
  #archive: ArchiveWriter | undefined;
  #made = false;
  /** Whose things are that are made in staging, as far as that is known: not always ours, nor of our group. */
  #owner: CpioOptions | undefined;
  #count = 0;
  /** What the tools have complained of, newest last. */
  readonly complaints: string[] = [];
  /** The disk is full, and why one says so. */
  full: string | undefined;
  /** A tool was killed, and how that was said. */
  #killed: string | undefined;
  /** The archive sent last, and the one before that. */
  #sending: Promise<void> = Promise.resolve();
  #sentBefore: Promise<void> = Promise.resolve();

  constructor(root: FarRoot) {
    this.#root = root;
    root.stagers += 1;
    this.#own = `b${root.stagers}`;
  }

  /** An archive with room for so much more, of something that was changed then. What is full is sent. */
  async archiveFor(size: number, mtimeUs: bigint): Promise<ArchiveWriter> {
    const most = this.#root.unpacking === 0 ? archiveBytes.idle : archiveBytes.busy;
    const current = this.#archive;
    if (current !== undefined && (current.size + size > most || !current.holds(mtimeUs))) await this.send();
    this.#archive ??= this.#fresh(mtimeUs);
    return this.#archive;
  }

  /** A directory, to be filled; with a time it is complete, and gets that. */
  async dir(name: string, mode: number, mtimeUs: bigint | undefined): Promise<void> {
    if (this.#root.tools.tar !== 'none') {
      const time = mtimeUs ?? BigInt(Date.now()) * 1000n;
      (await this.archiveFor(0, time)).add({ name, type: 'dir', mode, size: 0, mtimeUs: time });
      return;
    }
    const { session, tools } = this.#root;
    if (mtimeUs === undefined) {
      this.#complain((await session.run({ code: 'mkdirs 1', input: lineInput(name), limit: 1 << 16 })).output);
    } else {
      const code = `dress ${mode.toString(8)} ${touchTime(tools.touch, mtimeUs)}`;
      this.#complain((await session.run({ code, input: lineInput(name), limit: 1 << 16 })).output);
    }
  }

  async link(name: string, target: string, mtimeUs: bigint): Promise<void> {
    if (this.#root.tools.tar !== 'none') {
      (await this.archiveFor(0, mtimeUs)).add({ name, type: 'symlink', mode: 0o777, size: 0, mtimeUs, target });
      return;
    }
    const code = `linkto ${touchTime(this.#root.tools.touch, mtimeUs)}`;
    const { output } = await this.#root.session.run({ code, input: lineInput(target, name), limit: 1 << 16 });
    this.#complain(output);
  }

  /** Archives can be sent; else each file goes on its own. */
  get archives(): boolean {
    return this.#root.tools.tar !== 'none';
  }

  /** A name in staging that nothing has: for a directory of what goes to one place. @param kind goes before the number */
  fresh(kind = ''): string {
    this.#count += 1;
    return `${this.#own}/${kind}${this.#count}`;
  }

  /** The same for what does not lie in a directory of its own. */
  freshNumber(): string {
    return this.fresh().replace('/', '-');
  }

  /** Makes the staging directory. */
  async prepare(): Promise<void> {
    if (this.#made) return;
    const { session, request } = this.#root;
    await session.must({ code: 'own', limit: 1 << 16 }, 'write into .lockstep');
    const made = { code: `stage ${request.runId} ${this.#own}`, limit: 1 << 16 };
    const owner = (await session.must(made, 'make a directory for staging')).toString('latin1').trim();
    const [, uid, gid] = /^(\d{1,10}) (\d{1,10})$/.exec(owner) ?? [];
    if (uid !== undefined && gid !== undefined) this.#owner = { uid: Number(uid), gid: Number(gid) };
    this.#made = true;
  }

  /** Everything is in staging afterwards, or complained of. @throws LockstepError `io` when a tool was killed over it */
  async settle(): Promise<void> {
    await this.send();
    await this.#sending;
    // What it was at has not got its time and mode, and nothing of that shows in its size.
    if (this.#killed !== undefined) throw cutShort(this.#root.session, this.#killed);
  }

  /**
   * Begins a file of its own.
   *
   * @param partial where it is put together, in `.lockstep/`, if it is to be gone on with should it break off
   */
  async begin(name: string, partial: string | undefined): Promise<LargeFile> {
    await this.send();
    const { session } = this.#root;
    const isKept =
      partial !== undefined &&
      (await session.run({ code: 'partial', input: lineInput(partial), limit: 1 << 16 })).status === 0;
    const place = isKept ? partial : name;
    const discard = async (): Promise<void> => {
      await session.run({ code: isKept ? 'rmown' : 'drop 1', input: lineInput(place), limit: 1 << 16 });
    };
    let appending: Promise<void> = Promise.resolve();
    /** Something of it was not written: what follows may make it as long as it should be, but not what it should be. */
    let isBroken = false;
    const heard = ({ status, output }: Answer): void => {
      if (status !== 0) isBroken = true;
      this.#complain(output);
    };
    return {
      append: async (piece) => {
        // One under way, one being gathered; whatever follows is done behind it.
        await appending;
        appending = session
          .run({ code: `append ${piece.length}`, input: [lineInput(place), piece], limit: 1 << 16 })
          .then(heard);
        appending.catch(() => undefined);
      },
      copy: async (from, { bytes, first, count }) => {
        const input = lineInput(parentPath(from), baseName(from), place);
        heard(await session.run({ code: `copyblocks ${bytes} ${first} ${count}`, input, limit: 1 << 16 }));
      },
      extend: async (size) => {
        heard(await session.run({ code: `hole ${size}`, input: lineInput(place), limit: 1 << 16 }));
      },
      finish: async (mode, time) => {
        await appending;
        // It would keep a disk full that has no room for all of it.
        if (isBroken) {
          await discard();
          return false;
        }
        if (isKept) {
          const input = lineInput(place, name);
          const { status, output } = await session.run({ code: 'tostaging', input, limit: 1 << 16 });
          this.#complain(output);
          if (status !== 0) return false;
        }
        const code = `dress ${mode.toString(8)} ${touchTime(this.#root.tools.touch, time)}`;
        this.#complain((await session.run({ code, input: lineInput(name), limit: 1 << 16 })).output);
        return true;
      },
      discard,
    };
  }

  /** What is there of ours, by the names that they have in staging. */
  async look(): Promise<ReadonlyMap<string, Found>> {
    const staged = new Map<string, Found>();
    const said = await readTimed(this.#root, { code: `staged ${this.#own}` }, (found, markIfRacy) => {
      markIfRacy(found.entry);
      staged.set(`${this.#own}/${found.path}`, found);
    });
    // All of it is ours: nothing in it is out of sight for a good reason.
    if (said.trim() !== '') throw cutShort(this.#root.session, said.trim());
    return staged;
  }

  /** Removes all that is left of ours. */
  async clear(): Promise<void> {
    await this.drop([this.#own]);
  }

  /** Removes things from staging. */
  async drop(names: readonly string[]): Promise<void> {
    if (names.length === 0 || !this.#made) return;
    await this.#root.session.run({ code: `drop ${names.length}`, input: lineInput(...names), limit: 1 << 20 });
  }

  /** Why something is not in staging that should be. */
  why(): Omit<Failure, 'path'> {
    if (this.full !== undefined) return { why: 'no-space', detail: this.full };
    return { why: 'failed', detail: this.complaints.at(-1) ?? 'it did not arrive in staging' };
  }

  /** Sends what is gathered: it is on its way afterwards. */
  async send(): Promise<void> {
    if (this.#archive === undefined || this.#archive.size === 0) return;
    const archive = this.#archive;
    this.#archive = undefined;
    // One is being taken over there, one is on its way behind it, one is being filled.
    await this.#sentBefore;
    this.#sentBefore = this.#sending;
    this.#sending = this.#unpack(archive);
    this.#sending.catch(() => undefined);
  }

  async #unpack(archive: ArchiveWriter): Promise<void> {
    const { session } = this.#root;
    const bytes = archive.finish();
    this.#root.unpacking += 1;
    try {
      if (archive instanceof CpioWriter) {
        const input = [bytes, Buffer.from(`${session.marker} behind\n`)];
        const { status, output } = await session.run({ code: `uncpio ${bytes.length}`, input, limit: 1 << 20 });
        this.#complain(output);
        if (status !== 0) this.#root.cpioFailed = true;
      } else {
        const command = { code: `untar ${bytes.length}`, input: bytes, limit: 1 << 20 };
        this.#complain((await session.run(command)).output);
      }
    } finally {
      this.#root.unpacking -= 1;
    }
    // On its way until it was answered: another one had memory of its own.
    this.#root.archiveBuffers.push(archive.memory);
  }

  #complain(output: Buffer): void {
    for (const line of output.toString('utf8').split('\n')) {
      const text = line.trim();
      // Nor does what could not be stored in the end.
      if (/^(?:tar|cpio|touch|chmod) was killed \(\d+\)$|cannot close/i.test(text)) this.#killed = text;
      if (text === '' || /implausibly old|in the future|^\d+ blocks$/.test(text)) continue;
      const reason = plainReason(text.split(': ').pop() ?? '');
      this.complaints.push(reason);
      if (/no space left|quota exceeded/i.test(text))
        this.full = reason.replace('device', 'the device').replace('the the', 'the');
    }
  }

  #fresh(mtimeUs: bigint): ArchiveWriter {
    const { tools, archiveBuffers, cpioFailed } = this.#root;
    const { uid, gid, tar, tarNegative } = tools;
    const memory = archiveBuffers.pop() ?? Buffer.allocUnsafeSlow(1 << 16);
    if (tools.cpio && tar === 'plain' && this.#owner !== undefined && !cpioFailed) {
      const archive = new CpioWriter(this.#owner, memory);
      if (archive.holds(mtimeUs)) return archive;
    }
    return new TarWriter({ uid, gid, pax: tar === 'pax', negative: tarNegative }, memory);
  }
}
