/** Options of commands that work on one root, which may be far away. */
import { Option, type Command } from '@commander-js/extra-typings';
import { optionMeta, syncOptionsSchema } from '../../workspace/options.ts';
import { remoteOptionKeys, type RemoteOptionsGiven } from '../../workspace/remote-options.ts';
import { openHistory, type RootHistory } from '../../workspace/history.ts';
import { escapeControls } from '../../base/text.ts';

/** Adds what `remoteAccess` takes. */
export function addRemoteOptions(command: Command): void {
  for (const key of remoteOptionKeys) {
    const { flags, description, group } = optionMeta(syncOptionsSchema.shape[key]);
    command.addOption(new Option(flags, description).helpGroup(`${group}:`));
  }
}

/** Opens the root's history for as long as `act` runs. @param options all that the command was given */
export async function withHistory<T>(
  root: string,
  options: object,
  signal: AbortSignal,
  act: (history: RootHistory) => Promise<T>,
): Promise<T> {
  const history = await openHistory(root, {
    ...remoteAccess(options),
    signal,
    onStderr: (line) => process.stderr.write(`${escapeControls(line)}\n`),
  });
  try {
    return await act(history);
  } finally {
    await history.close();
  }
}

/** Those of a command's options that say how a far side is reached. */
export function remoteAccess(options: object): RemoteOptionsGiven {
  const keys: readonly string[] = remoteOptionKeys;
  return Object.fromEntries(Object.entries(options).filter(([key]) => keys.includes(key)));
}
