/**
 * `node bench/delta.js [--size MiB] [--rounds N] [--dir DIR]`: the delta room on its own, beside rsync's delta, on one large
 * file: 1 MiB overwritten in the middle and 100 bytes inserted at the front, and on content that shares nothing with the base.
 *
 * Bytes are exact. Speeds are the best of the rounds, in MB/s (10^6 bytes) of the file that is read; they include reading
 * and writing it. rsync runs as a whole, over a local pipe, so its figure to compare with is the sum of our three stages.
 */

import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';
import { run } from './lib/process.js';

const MIB = 2 ** 20;
const CHUNK = 256 * 1024;

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const mebibytes = Number(values.size);
const rounds = Number(values.rounds);
const dir = mkdtempSync(join(values.dir, 'lockstep-delta-'));
try {
  await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function main() {
  const room = await loadRoom();
  const [base, edited, foreign] = ['base', 'edited', 'foreign'].map((name) => join(dir, name));
  makeFiles(base, edited, foreign);
  for (const [name, file] of Object.entries({ edited, foreign })) {
    const best = { signature: Infinity, search: Infinity, patch: Infinity, rsync: Infinity };
    const bytes = { lockstep: 0, rsync: 0 };
    for (let round = 0; round < rounds; round += 1) {
      bytes.lockstep = lockstep(room, base, file, best);
      bytes.rsync = await rsync(base, file, best);
    }
    const whole = best.signature + best.search + best.patch;
    const size = statSync(file).size;
    const speed = (/** @type {number} */ seconds) => `${(size / 1e6 / seconds).toFixed(0)} MB/s`;
    console.log(`${name}, ${mebibytes} MiB`);
    console.log(`  signature ${speed(best.signature)}, search ${speed(best.search)}, patch ${speed(best.patch)}`);
    console.log(`  time  lockstep ${whole.toFixed(2)} s, rsync ${best.rsync.toFixed(2)} s`);
    console.log(
      `  bytes lockstep ${bytes.lockstep}, rsync ${bytes.rsync}: ${(bytes.lockstep / bytes.rsync).toFixed(3)}`,
    );
  }
}

/** The room as the agent has it, bundled, because Node 20 does not read TypeScript. */
async function loadRoom() {
  const src = join(import.meta.dirname, '..', 'src', 'delta');
  const names = ['signature', 'signature-codec', 'search', 'instructions', 'patch'];
  const input = Object.fromEntries(names.map((name) => [name, join(src, `${name}.ts`)]));
  const bundle = await rolldown({ input, platform: 'node' });
  await bundle.write({ dir: join(dir, 'room'), format: 'esm', entryFileNames: '[name].mjs' });
  const modules = await Promise.all(names.map((name) => import(join(dir, 'room', `${name}.mjs`))));
  return Object.assign({}, ...modules);
}

/**
 * @param {string} base
 * @param {string} edited
 * @param {string} foreign
 */
function makeFiles(base, edited, foreign) {
  // A cipher's key stream: as incompressible as random bytes, and the same every time.
  const noise = (/** @type {number} */ key) => createCipheriv('aes-128-ctr', Buffer.alloc(16, key), Buffer.alloc(16));
  const streams = [1, 2, 3].map(noise);
  const files = [base, edited, foreign].map((file) => openSync(file, 'w'));
  const zeros = Buffer.alloc(MIB);
  writeSync(files[1], streams[1].update(zeros.subarray(0, 100)));
  for (let i = 0; i < mebibytes; i += 1) {
    const piece = streams[0].update(zeros);
    writeSync(files[0], piece);
    writeSync(files[1], i === mebibytes >> 1 ? streams[1].update(zeros) : piece);
    writeSync(files[2], streams[2].update(zeros));
  }
  files.forEach(closeSync);
}

/** Like the agents, but one after the other in one thread. @returns the bytes both sides would have sent */
function lockstep(room, base, file, best) {
  const size = statSync(base).size;
  const signing = timed(best, 'signature', () => {
    const builder = new room.SignatureBuilder(size, randomBytes(16));
    for (const chunk of chunksOf(base)) builder.push(chunk);
    return room.encodeSignature(builder.finish());
  });
  const delta = timed(best, 'search', () => {
    const search = new room.DeltaSearch(room.decodeSignature(signing));
    const encoder = new room.InstructionEncoder();
    const pieces = [];
    const send = (instructions) => {
      for (const instruction of instructions) pieces.push(...encoder.encode(instruction));
    };
    for (const chunk of chunksOf(file)) send(search.push(chunk));
    send(search.finish());
    return pieces;
  });
  const made = join(dir, 'made');
  timed(best, 'patch', () => applyTo(room, base, delta, statSync(file).size, made));
  if (digestOf(made) !== digestOf(file)) throw new Error('the patched file is not the new one');
  return delta.reduce((sum, piece) => sum + piece.length, signing.length);
}

function applyTo(room, base, delta, size, made) {
  const from = openSync(base, 'r');
  const to = openSync(made, 'w');
  const buffer = Buffer.alloc(CHUNK);
  const patch = new room.Patch({ baseSize: statSync(base).size, size });
  for (const piece of delta) {
    for (const step of patch.push(piece)) {
      if (step.kind === 'literal') writeSync(to, step.bytes);
      else {
        for (let done = 0; done < step.length;) {
          const read = readSync(from, buffer, 0, Math.min(CHUNK, step.length - done), step.offset + done);
          writeSync(to, buffer, 0, read);
          done += read;
        }
      }
    }
  }
  patch.finish();
  closeSync(from);
  closeSync(to);
}

/** @returns the bytes rsync counts as sent and received */
async function rsync(base, file, best) {
  const made = join(dir, 'made');
  copyFileSync(base, made);
  utimesSync(made, 1, 1);
  const start = performance.now();
  const output = await run(['rsync', '--no-whole-file', '--stats', '--no-human-readable', file, made]);
  best.rsync = Math.min(best.rsync, (performance.now() - start) / 1000);
  const count = (what) => Number(new RegExp(`Total bytes ${what}: (\\d+)`).exec(output)?.[1]);
  return count('sent') + count('received');
}

function timed(best, stage, work) {
  const start = performance.now();
  const result = work();
  best[stage] = Math.min(best[stage], (performance.now() - start) / 1000);
  return result;
}

function* chunksOf(file) {
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(CHUNK);
  for (let read; (read = readSync(fd, buffer, 0, CHUNK, null)) > 0;) yield buffer.subarray(0, read);
  closeSync(fd);
}

function digestOf(file) {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(file)) hash.update(chunk);
  return hash.digest('hex');
}
