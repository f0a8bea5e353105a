import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { countBytes } from './count.js';
import { measure } from './measure.js';
import { Interrupted } from './process.js';

/** @import { Contender, Context, Result, Target, Table } from './types.js' */
/** @import { Sshd } from './sshd.js' */

/**
 * Longer than any clock granularity: files written just before a scan cannot be told from files written during it, and
 * tools rightly distrust them. Milliseconds.
 */
const AGE = 1100;

/**
 * Runs the contenders in turn, round by round, so that each pays equally for whatever else the machine is doing: a
 * noisy neighbour then moves all of a round, and the ratios stay.
 *
 * @param {Context} context
 * @param {object} plan
 * @param {string} plan.title
 * @param {Contender[]} plan.contenders
 * @param {number} plan.rounds unless the command line asks for another number
 * @param {number} [plan.warmups] unmeasured rounds first, negative in number: they fill caches, archives and baselines
 * @param {(round: number) => Promise<void>} [plan.beforeRound] before each measured round
 * @param {string[]} plan.against
 * @param {Target[]} [plan.targets]
 * @param {number} [plan.entries]
 * @param {Sshd} [plan.sshd] what the contenders connect to: one round more then counts their bytes
 * @returns {Promise<Table>}
 */
export async function race(context, plan) {
  const rounds = context.rounds ?? plan.rounds;
  const results = plan.contenders
    .filter(({ role }) => !(context.onlyPeers && role === 'lockstep'))
    .map((contender) => /** @type {Result} */ ({ contender, samples: [] }));
  const before = loadavg()[0] ?? 0;
  for (let round = -(plan.warmups ?? 0); round < rounds; round++) {
    context.say(`${plan.title}: ${round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`}`);
    if (round >= 0) await plan.beforeRound?.(round);
    for (const result of results) if (result.failure === undefined) await turn(context, result, round);
    if (round < 0) await sleep(AGE);
  }
  const { sshd } = plan;
  if (sshd !== undefined) {
    context.say(`${plan.title}: counting bytes`);
    await plan.beforeRound?.(rounds);
    for (const result of results) if (result.failure === undefined) await countedTurn(context, result, rounds, sshd);
  }
  return {
    title: plan.title,
    rounds,
    results,
    against: plan.against,
    targets: plan.targets ?? [],
    notes: [],
    load: [before, loadavg()[0] ?? 0],
    ...(plan.entries === undefined ? {} : { entries: plan.entries }),
  };
}

/**
 * One contender's run of one round. A contender that fails, or succeeds without having done the work, is out: a time
 * for the wrong result must not get into a table, and the others are not to blame.
 *
 * @param {Context} context
 * @param {Result} result
 * @param {number} round
 */
function turn(context, result, round) {
  return orOut(context, result, async () => {
    const { contender } = result;
    await contender.prepare?.(round);
    await context.settle();
    const sample = await measure(contender.argv, contender.env ?? {}, join(context.dir, 'rusage'));
    await contender.check?.(round);
    if (round >= 0) result.samples.push(sample);
  });
}

/**
 * The same with bytes instead of times.
 *
 * @param {Context} context
 * @param {Result} result
 * @param {number} round
 * @param {Sshd} sshd
 */
function countedTurn(context, result, round, sshd) {
  return orOut(context, result, async () => {
    const { contender } = result;
    await contender.prepare?.(round);
    const bytes = await countBytes(contender, sshd);
    await contender.check?.(round);
    result.bytes = bytes;
  });
}

/**
 * @param {Context} context
 * @param {Result} result
 * @param {() => Promise<void>} act
 */
async function orOut(context, result, act) {
  try {
    await act();
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    result.failure = error instanceof Error ? error.message : String(error);
    context.say(`  ${result.contender.name} is out: ${result.failure}`);
  }
}
