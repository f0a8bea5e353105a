import type { ScanResult } from './replica.ts';

/** What a scan begins with, whoever makes it, beside its tree. A field that is added has one place to begin. */
export function nothingFound(): Omit<ScanResult, 'changed' | 'complete'> {
  return {
    unreadable: [],
    ignoredIn: [],
    ignoreFiles: [],
    entries: 0,
    bytes: 0,
    unmatchedPatterns: [],
    mountsGone: [],
  };
}
