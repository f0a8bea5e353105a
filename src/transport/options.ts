/** What a user can say about how the far side is reached. */

export interface TransportOptions {
  /**
   * For ssh: each as in its configuration (`ProxyJump=bastion`), or, with a leading dash, an option of its own with its
   * value attached (`-F/path/to/config`, `-v`). They come before ours, and ssh takes what it sees first.
   */
  sshOptions?: readonly string[];
  /** For ssh: a private key file, and no other key. */
  identity?: string;
  /** For compose: the compose file; else docker's own choice. */
  composeFile?: string;
  /**
   * How long the far side may take to answer, at each step, in milliseconds; 20,000 unless told. Where a user may be asked for
   * a password, the first answer gets two minutes more.
   */
  connectTimeoutMs?: number;
  /** Runs the far end through `sudo -n`. */
  remoteSudo?: boolean;
  /** A Node to try first over there: a path, one from `~/`, or a name on PATH. */
  remoteNode?: string;
  /** Keeps the program that is sent in the far side's cache directory, and finds it there next time. */
  agentCache?: boolean;
  /** There is somebody to answer ssh's questions; unless told, whether stdin and stderr are terminals. */
  interactive?: boolean;
}

export const defaultConnectTimeoutMs = 20_000;

/** The same without what depends on the process: everything decided. */
export interface TransportSettings {
  sshOptions: readonly string[];
  identity: string | undefined;
  composeFile: string | undefined;
  connectTimeoutMs: number;
  remoteSudo: boolean;
  remoteNode: string | undefined;
  agentCache: boolean;
  interactive: boolean;
}

export function transportSettings(options: TransportOptions): TransportSettings {
  return {
    sshOptions: options.sshOptions ?? [],
    identity: options.identity,
    composeFile: options.composeFile,
    connectTimeoutMs: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
    remoteSudo: options.remoteSudo ?? false,
    remoteNode: options.remoteNode,
    agentCache: options.agentCache ?? false,
    interactive: options.interactive ?? hasTerminal(),
  };
}

function hasTerminal(): boolean {
  // Not stdout: that is for results and often goes into a file. ssh asks on the terminal itself.
  const { isatty } = process.getBuiltinModule('node:tty');
  return isatty(0) && isatty(2);
}
