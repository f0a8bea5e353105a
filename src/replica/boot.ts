/** Whether the owner of a lock was of another boot of its machine, by what either side of a pipe writes into it. */

/** The kernel's name of a boot. */
const kernels = /^[\da-f-]{36}$/;
/** Where it has none: the minute in which the machine started (replica/local/platform.ts). */
const counted = /^up-since-(\d+)$/;

/** @returns false also where it cannot be told: a far shell without /proc has no word for it */
export function isOtherBoot(one: string, other: string): boolean {
  if (kernels.test(one) && kernels.test(other)) return one !== other;
  const [minute, otherMinute] = [counted.exec(one)?.[1], counted.exec(other)?.[1]];
  if (minute === undefined || otherMinute === undefined) return false;
  // Of clocks that were set: one of two minutes is the same.
  return Math.abs(Number(minute) - Number(otherMinute)) > 1;
}
