/** Names that are different here and the same file over there. */
import type { ReconcileInput } from './input.ts';

/**
 * Of a directory's names on both sides, those that one side cannot tell apart (case or Unicode form), each with one that
 * it clashes with. Empty where both sides tell all names apart.
 */
export function clashingNames(names: readonly string[], input: ReconcileInput): ReadonlyMap<string, string> {
  const clashes = new Map<string, string>();
  if (!input.a.foldsNames && !input.b.foldsNames) return clashes;
  const first = new Map<string, string>();
  for (const name of names) {
    const folded = foldName(name);
    const other = first.get(folded);
    if (other === undefined) first.set(folded, name);
    else {
      clashes.set(name, other);
      if (!clashes.has(other)) clashes.set(other, name);
    }
  }
  return clashes;
}

/** What a case-insensitive, normalising file system makes of a name, near enough to find clashes. */
export function foldName(name: string): string {
  return name.normalize('NFD').toLowerCase().normalize('NFC');
}
