/**
 * Appends many values. Not `push(...more)`: each value is an argument then, and a hundred thousand of them overflow the stack.
 */
export function append<T>(to: T[], more: Iterable<T>): void {
  for (const value of more) to.push(value);
}
