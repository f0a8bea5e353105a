/** Which way a command goes; `local` is the first root of sync and push, the second of pull. */
export type Direction = 'sync' | 'push' | 'pull';
