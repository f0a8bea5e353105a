/** A command for `--`: a shell behind a proxy that counts what crosses, and may cut both ways after so many bytes. */
import fs from 'node:fs';
import path from 'node:path';

export interface ProxyReport {
  /** Bytes towards the far side. */
  sent: number;
  /** Bytes from it. */
  received: number;
}

const program = `
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const [report, cutAfter] = process.argv.slice(2);
const far = spawn('sh', { stdio: ['pipe', 'pipe', 'inherit'] });
const counts = { sent: 0, received: 0 };
let rest;
let left = cutAfter === 'never' ? Infinity : Number(cutAfter);
function pass(from, to, key) {
  from.on('data', (chunk) => {
    const part = chunk.subarray(0, left);
    counts[key] += part.length;
    left -= part.length;
    clearTimeout(rest);
    rest = setTimeout(tell, 100);
    if (!to.write(part)) { from.pause(); to.once('drain', () => from.resume()); }
    if (left <= 0) end(1);
  });
  from.on('end', () => to.end());
  to.on('error', () => undefined);
}
function tell() {
  fs.writeFileSync(report + '.new', JSON.stringify(counts));
  fs.renameSync(report + '.new', report);
}
function end(code) {
  clearTimeout(rest);
  tell();
  // Like a connection that is gone: neither end hears any more of the other.
  if (code !== 0) process.exit(code);
}
pass(process.stdin, far.stdin, 'sent');
pass(far.stdout, process.stdout, 'received');
far.on('exit', () => end(0));
`;

/**
 * @param cutAfter bytes, both directions together; none: never
 * @returns a report of what has crossed by the end, or when nothing had crossed for a tenth of a second
 */
export function cuttingProxy(dir: string, cutAfter?: number): { argv: string[]; report: () => ProxyReport } {
  const script = path.join(dir, 'proxy.cjs');
  const report = path.join(dir, 'proxy.json');
  fs.writeFileSync(script, program);
  return {
    argv: [process.execPath, script, report, String(cutAfter ?? 'never')],
    report: () => JSON.parse(fs.readFileSync(report, 'utf8')) as ProxyReport,
  };
}
