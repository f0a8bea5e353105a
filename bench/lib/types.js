/**
 * The shapes the benchmark's files hand to each other, in one place because plain JavaScript cannot export an interface.
 *
 * @typedef {'peer' | 'floor' | 'lockstep'} Role
 *   A peer is what Lockstep is held against; a floor does less than the job asks and shows what no tool can go below.
 *
 * @typedef {object} Contender
 * @property {string} name unique within its benchmark
 * @property {Role} role
 * @property {string[]} argv the command that is measured, all of it and nothing else
 * @property {string} shown the command with SRC, DST and STATE for the paths, fit to be committed
 * @property {Record<string, string>} [env] added to the environment
 * @property {(round: number) => Promise<void>} [prepare] unmeasured: brings the starting state about
 * @property {(round: number) => Promise<void>} [check] unmeasured: throws when the command did not do its job
 *
 * @typedef {object} Sample one measured run
 * @property {number} wall seconds from spawn to exit
 * @property {number} cpu seconds, user and system, the command and every child it waited for
 * @property {number | undefined} rss peak resident bytes of its largest process; undefined when it cannot be had
 *
 * @typedef {object} Result
 * @property {Contender} contender
 * @property {Sample[]} samples
 * @property {number} [bytes] what crossed the connection in its counted run, both ways
 * @property {string} [failure] why it was taken out of the race
 *
 * @typedef {object} Target a limit from DESIGN.md §9
 * @property {string} contender
 * @property {number} max
 * @property {number} [aim]
 * @property {string} [against] a ratio to this contender; without it the target is absolute
 * @property {'seconds' | 'bytes' | 'bytes per entry'} [unit] of an absolute target; a ratio is one of wall times, or of
 *   `bytes` across the connection
 *
 * @typedef {object} Table one race, raced and ready to be shown
 * @property {string} title
 * @property {number} rounds
 * @property {Result[]} results
 * @property {string[]} against contenders the ratio columns are taken to
 * @property {Target[]} targets
 * @property {number} [entries] of the tree, when memory by entry is of interest
 * @property {string[]} notes
 * @property {[before: number, after: number]} load one-minute load averages: a busy machine discredits a table
 *
 * @typedef {object} Context what a benchmark is given
 * @property {string} dir empty directory on the file system under test, removed afterwards
 * @property {'tmpfs' | 'disk'} fs
 * @property {number | undefined} rounds asked for on the command line
 * @property {boolean} onlyPeers
 * @property {string} cli path of the built `lockstep.cjs`
 * @property {() => Promise<string>} linuxTree path of the pristine tree: copy it, never touch it
 * @property {() => Promise<void>} settle makes earlier writes stop weighing on the next measured run
 * @property {(text: string) => void} say progress, for a person
 *
 * @typedef {object} Benchmark
 * @property {string} name
 * @property {string} about one line for `--list`
 * @property {number} bytes what its trees need on the file system under test, generously
 * @property {(context: Context) => Promise<Table[]>} run
 */

export {};
