/** Small renderings of numbers and times that several rooms print. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `1234567` → `1.2 MB` (powers of 1000, as `ls --si` and disk makers do). */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? 'B'}`;
}

/** `65432` ms → `1m05s`; below a minute with one decimal. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(Math.floor(seconds % 60)).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

/** `1 file`, `2 files`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? noun : many}`;
}

/** A time stamp that sorts by name and needs no quoting anywhere: `20261121T031500.123Z`. */
export function compactStamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]/g, '');
}
