/** What mtime a directory should have. */
import { mtimeUs } from '../tree/entry.ts';
import type { Quad, ReconcileInput } from './input.ts';
import { timesDiffer } from './metadata.ts';
import type { Side } from './options.ts';

/** A time for each side, microseconds; undefined where it is to stay as it is. */
type Times = Record<Side, bigint | undefined>;

export interface TimesRequest {
  /** A directory that both sides have. */
  quad: Quad;
  input: ReconcileInput;
  /** One-way modes: the side that is right. */
  source: Side | undefined;
  /** On which sides a step of the plan changes its listing, and with it its mtime. */
  touched: Record<Side, boolean>;
}

/**
 * A directory's mtime is nobody's content: it follows whichever side changed it, the later one where both did, and is
 * put back where only our own steps disturbed it.
 *
 * @returns the time to set on each side, or undefined where it is right already
 */
export function directoryTimes(request: TimesRequest): Times {
  const { quad, input, touched } = request;
  const { a, b } = quad.now;
  if (a === undefined || b === undefined) return { a: undefined, b: undefined };
  const time = { a: mtimeUs(a), b: mtimeUs(b) };
  const want = wantedTimes(request, time);
  return {
    a: want.a !== undefined && (touched.a || timesDiffer(want.a, time.a, input.options)) ? want.a : undefined,
    b: want.b !== undefined && (touched.b || timesDiffer(want.b, time.b, input.options)) ? want.b : undefined,
  };
}

function wantedTimes({ quad, input, source, touched }: TimesRequest, time: Record<Side, bigint>): Times {
  if (source !== undefined) {
    const wanted = time[source];
    return source === 'a' ? { a: undefined, b: wanted } : { a: wanted, b: undefined };
  }
  if (input.a.fresh && quad.path === '') return { a: time.b, b: time.b };
  if (input.b.fresh && quad.path === '') return { a: time.a, b: time.a };
  const later = time.a > time.b ? time.a : time.b;
  const { base } = quad;
  if (base.a === undefined || base.b === undefined) {
    return touched.a || touched.b ? { a: later, b: later } : { a: undefined, b: undefined };
  }
  const changed = { a: mtimeUs(base.a) !== time.a, b: mtimeUs(base.b) !== time.b };
  if (changed.a && changed.b) return { a: later, b: later };
  if (changed.a) return { a: time.a, b: time.a };
  return changed.b ? { a: time.b, b: time.b } : time;
}
