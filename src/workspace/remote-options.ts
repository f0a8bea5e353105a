import type { SyncOptions } from './options.ts';

/** Those of a sync's options that say how a far side is reached. */
export const remoteOptionKeys = [
  'sshOption',
  'identity',
  'composeFile',
  'compress',
  'bwlimit',
  'remoteSudo',
  'agent',
  'remoteNode',
  'agentCache',
  'connectTimeout',
  'timeout',
] as const;
export type RemoteOptionsGiven = Pick<SyncOptions, (typeof remoteOptionKeys)[number]>;
