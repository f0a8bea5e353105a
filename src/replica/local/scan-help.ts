/**
 * A second thread for one walk, where nothing else would use the second core: far away, while this side waits for it.
 *
 * It is sent some directories at a time, looks into them but not below, and answers with what it found and what is to be
 * looked into next. So the walk stays one, with one stack, and each directory is looked into once. What the thread did not
 * answer, because it failed or was never up, is looked into by the walk itself.
 */
import { GuardError } from '../../base/errors.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { digestBytes } from '../listing-digest.ts';
import type { ScanRequest, ScanResult } from '../replica.ts';
import type { ScanHelpRequest } from '../worker-file.ts';
import { DirHandles, inodeOf } from './dir-handles.ts';
import { Scanner, type Pending, type ScannedPart } from './scan.ts';
import { drive } from './slices.ts';

/** Fewer directories than this are walked before a second thread would be up. */
const minDirectories = 3000;
/** Directories in a part: some milliseconds of work. */
const partLength = 128;
/** Parts that it is sent before it has answered: it must not wait while the walk is in a slice of its own. */
const partsAhead = 2;
/** What is left of a stack is not worth the way there and back. */
const minToShare = 16;

type IgnoreFile = ScanResult['ignoreFiles'][number];

/** A part of the walk: the directories, and the ignore files that were found since the last one. */
interface PartRequest {
  dirs: readonly Pending[];
  ignoreFiles: readonly IgnoreFile[];
}

type PartAnswer = { type: 'ready' } | { type: 'part'; part: ScannedPart };

/** The thread's end of things, as the walk sees it: a `Worker`, or a port in tests. */
export interface HelperPort {
  postMessage(message: PartRequest): void;
  on(event: 'message', listener: (answer: PartAnswer) => void): unknown;
  on(event: 'error' | 'exit' | 'close', listener: () => void): unknown;
}

/** Is a walk long enough that a second thread pays? Known where the record came as digests: of so many directories. */
export function isWorthHelp({ previous, scope }: ScanRequest): boolean {
  return previous.as === 'digests' && scope.length === 0 && previous.digests.length / digestBytes >= minDirectories;
}

export class ScanHelp {
  readonly #port: HelperPort;
  /** Sent and not answered, in order. */
  readonly #sent: (readonly Pending[])[] = [];
  readonly #answered: ScannedPart[] = [];
  #isReady = false;
  #ignoreFilesTold = 0;
  #wake: (() => void) | undefined;

  constructor(port: HelperPort) {
    this.#port = port;
    port.on('message', (answer) => {
      if (answer.type === 'ready') this.#isReady = true;
      else {
        this.#sent.shift();
        this.#answered.push(answer.part);
      }
      this.#wake?.();
    });
    const lost = (): void => {
      this.#isReady = false;
      this.#wake?.();
    };
    port.on('error', lost);
    port.on('exit', lost);
    port.on('close', lost);
  }

  /** There is something still to come from it, or to be looked into again. */
  get isAtWork(): boolean {
    return this.#sent.length > 0 || this.#answered.length > 0;
  }

  /** Settles when there is something to `take`, or directories are to be had back by `offer`. */
  async news(): Promise<void> {
    if (this.#answered.length > 0 || !this.#isReady) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What was answered since the last time. */
  take(): ScannedPart[] {
    return this.#answered.splice(0);
  }

  /**
   * Sends some of a stack's directories, from its bottom, where whole subtrees wait; puts back what will not be answered.
   *
   * @param ignoreFiles all that were found so far, always the same list, growing
   */
  offer(stack: Pending[], ignoreFiles: readonly IgnoreFile[]): void {
    if (!this.#isReady) {
      for (const dirs of this.#sent.splice(0)) stack.push(...dirs);
      return;
    }
    while (this.#sent.length < partsAhead && stack.length >= minToShare) {
      const dirs = stack.splice(0, Math.min(partLength, stack.length >> 1));
      this.#sent.push(dirs);
      this.#port.postMessage({ dirs, ignoreFiles: ignoreFiles.slice(this.#ignoreFilesTold) });
      this.#ignoreFilesTold = ignoreFiles.length;
    }
  }
}

/** The thread's end, as it sees it. */
export interface WalkPort {
  postMessage(answer: PartAnswer, transfer?: ArrayBuffer[]): void;
  on(event: 'message', listener: (part: PartRequest) => void): unknown;
}

/** The loop of the thread. @throws what makes it impossible to help; the walk then does without */
export function serveScanParts(port: WalkPort, { root, inode, granularityNs, request }: ScanHelpRequest): void {
  const handles = new DirHandles(root);
  if (inodeOf(handles) !== inode) throw new GuardError('root-replaced', `${root} was replaced`, { path: root });
  const scanner = new Scanner(handles, granularityNs, request, {
    matcher: new IgnoreMatcher(request.rules),
    watcher: undefined,
  });
  const control = { signal: new AbortController().signal };
  let before: Promise<unknown> = Promise.resolve();
  port.on('message', ({ dirs, ignoreFiles }) => {
    before = before.then(async () => {
      for (const file of ignoreFiles) scanner.addIgnoreFile(file);
      const part = await drive(scanner.runPart(dirs), control);
      port.postMessage(
        { type: 'part', part },
        part.chunks.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : [])),
      );
    });
  });
  port.postMessage({ type: 'ready' });
}
