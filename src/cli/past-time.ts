import { UsageError } from '../base/errors.ts';

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const relative = /^(\d+(?:\.\d+)?)\s*(s|m|h|d|w|(?:second|minute|hour|day|week)s?|sec|min)(?:\s+ago)?$/i;
const absolute =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * A moment in the past as people write it: `2026-11-21`, `2026-11-21 14:30`, `2026-11-21T13:30:00Z`, `2h`, `3d ago`,
 * `2 weeks ago`. Without an offset it is local time, as every display of ours is.
 *
 * @throws UsageError for anything else, and for the future
 */
export function parsePastTime(text: string, nowMs: number): Date {
  const ms = relativeTime(text.trim(), nowMs) ?? absoluteTime(text.trim());
  if (ms === undefined) {
    throw new UsageError(`not a time: ${text}`, {
      hint: 'Give one such as 2026-11-21, "2026-11-21 14:30", 2026-11-21T13:30:00Z, 2h or "3d ago".',
    });
  }
  if (ms > nowMs) throw new UsageError(`${text} lies in the future`);
  return new Date(ms);
}

function relativeTime(text: string, nowMs: number): number | undefined {
  const [, amount, unit] = relative.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const ms = nowMs - Number(amount) * (unitMs[unit.charAt(0).toLowerCase()] ?? Number.NaN);
  // Before any calendar: as good as the beginning of everything.
  return Math.max(ms, 0);
}

function absoluteTime(text: string): number | undefined {
  const match = absolute.exec(text);
  if (match === null) return undefined;
  const part = (index: number): number => Number(match[index] ?? 0);
  const parts = [part(1), part(2) - 1, part(3), part(4), part(5), part(6)] as const;
  const [fraction = '0', offset] = match.slice(7);
  const ms = Number(fraction.padEnd(3, '0'));
  const utc = new Date(Date.UTC(...parts, ms));
  // 31 February and 25 o'clock roll over: what does not come back as it was given is no time.
  const read = [utc.getUTCMonth(), utc.getUTCDate(), utc.getUTCHours(), utc.getUTCMinutes(), utc.getUTCSeconds()];
  if (read.some((part, index) => part !== parts[index + 1])) return undefined;
  return offset === undefined ? new Date(...parts, ms).getTime() : utc.getTime() - offsetMs(offset);
}

function offsetMs(offset: string): number {
  if (offset.toUpperCase() === 'Z') return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(offset) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
