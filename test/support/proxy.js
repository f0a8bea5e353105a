/**
 * A bad line: stands between the command line and a shell, and cuts, delays, counts (proxy.ts). What it runs has a session of its
 * own, as on another machine: nothing but the end of its pipes tells it that the line is gone.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';

const [program, ...args] = process.argv.slice(2);
const {
  cutToFar = Infinity,
  cutFromFar = Infinity,
  delayMs = 0,
  bytesPerSecond = Infinity,
  report,
} = JSON.parse(process.env.LOCKSTEP_TEST_LINE ?? '{}');
const far = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
// Either end may be gone while it is written to.
for (const stream of [far.stdin, process.stdout]) stream.on('error', () => undefined);

const startedAt = performance.now();
const toFar = direction(cutToFar, far.stdin, bytesPerSecond);
const fromFar = direction(cutFromFar, process.stdout, Infinity);

function direction(cut, sink, speed) {
  return { cut, sink, speed, bytes: 0, lastMs: 0, depth: 0, ended: false };
}

/**
 * Lamport's clock: what an end says comes after everything that it has heard. So `depth` counts how often one end had to
 * wait for the other, at most; and also grows by one with each delay while both talk.
 */
function relay(source, way, back) {
  source.on('data', (chunk) => {
    const left = way.cut - way.bytes;
    const piece = chunk.subarray(0, Math.min(left, chunk.length));
    way.bytes += piece.length;
    way.lastMs = performance.now() - startedAt;
    const depth = back.depth + 1;
    const isPing = piece.length === 9 && piece.readUInt32LE(0) === 0;
    const deliver = () => {
      if (!isPing) way.depth = Math.max(way.depth, depth);
      if (chunk.length >= left) way.sink.write(piece, end);
      else if (!way.sink.write(piece) && delayMs === 0) {
        source.pause();
        way.sink.once('drain', () => source.resume());
      }
    };
    if (delayMs === 0) deliver();
    else setTimeout(deliver, delayMs);
    if (way.speed < Infinity) {
      source.pause();
      setTimeout(() => source.resume(), (piece.length / way.speed) * 1000);
    }
  });
  source.on('end', () => {
    if (delayMs === 0) way.sink.end();
    else setTimeout(() => way.sink.end(), delayMs);
  });
}

relay(process.stdin, toFar, fromFar);
relay(far.stdout, fromFar, toFar);
if (cutToFar === 0 || cutFromFar === 0) end();
// After the last bytes have been delivered.
far.on('close', () => setTimeout(end, delayMs));

function end() {
  if (report !== undefined) {
    const told = ({ bytes, depth, lastMs }) => ({ bytes, depth, lastMs });
    fs.writeFileSync(report, JSON.stringify({ toFar: told(toFar), fromFar: told(fromFar) }));
  }
  process.exit(0);
}
