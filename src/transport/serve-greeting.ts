/**
 * What `lockstep serve` says first.
 *
 * Where an ssh server forces that command, what we asked for is not run, and the server speaks at once. It starts
 * with this line, alone on it, so that it is told from a login banner; after the line break come its bytes.
 */
export const serveVersion = 1;

export const serveGreeting = `LOCKSTEP-SERVE ${serveVersion}\n`;

/** The greeting of any version, at the start of a line. */
export const anyServeGreeting = /(?:^|\n)LOCKSTEP-SERVE ([0-9]{1,9})\n/;
