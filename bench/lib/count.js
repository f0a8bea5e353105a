import { describeEnding, finish } from './process.js';

/** @import { Contender } from './types.js' */
/** @import { Sshd } from './sshd.js' */

/**
 * Runs a contender once more, unmeasured, by way of the counter.
 *
 * @param {Contender} contender whose command names `sshd.config`
 * @param {Sshd} sshd
 * @returns {Promise<number>} bytes that crossed the connection, both ways
 */
export async function countBytes(contender, sshd) {
  await sshd.takeBytes();
  const argv = contender.argv.map((word) => word.replaceAll(sshd.config, sshd.countedConfig));
  const ending = await finish(argv, { env: contender.env ?? {} });
  const bytes = await sshd.takeBytes();
  if (ending.code !== 0) throw new Error(describeEnding(ending));
  if (bytes === 0) throw new Error('nothing came past the counter: its command does not use the configuration given');
  return bytes;
}
