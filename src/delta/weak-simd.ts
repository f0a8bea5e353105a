/**
 * The weak sum (sums.ts) of many bytes, 32 at a time by WebAssembly's SIMD: ten times as fast as the loop in script, which
 * was half of the time that the signature of a large file took. The module is hand-written; weak-simd.wat is its source, and
 * sums.test.ts holds it against the loop.
 */

/** weak-simd.wat, assembled (`wat2wasm weak-simd.wat`). */
const code =
  'AGFzbQEAAAABCQFgBH9/f38BfwMCAQAFAwEABQcRAgZtZW1vcnkCAAR3ZWFrAAAKkQMBjgMDAXsCfwl7IAIgAmwiBSAFbCIFIAVsIgUgBWwiBS' +
  'AFbP0RIQQgASAAa0EgTwRAIA8gA/0cAyEPA0AgAP0ABAAhByAIIAT9tQEgB/2JAf2pAf2uASEIIAkgBP21ASAH/YkB/aoB/a4BIQkgCiAE/bUB' +
  'IAf9igH9qQH9rgEhCiALIAT9tQEgB/2KAf2qAf2uASELIAD9AAQQIQcgDCAE/bUBIAf9iQH9qQH9rgEhDCANIAT9tQEgB/2JAf2qAf2uASENIA' +
  '4gBP21ASAH/YoB/akB/a4BIQ4gDyAE/bUBIAf9igH9qgH9rgEhDyAAQSBqIQAgASAAa0EgTw0AC0EAIAj9CwQAQRAgCf0LBABBICAK/QsEAEEw' +
  'IAv9CwQAQcAAIAz9CwQAQdAAIA39CwQAQeAAIA79CwQAQfAAIA/9CwQAQQAhAwNAIAMgAmwgBigCAGohAyAGQQRqIQYgBkGAAUkNAAsLAkAgAC' +
  'ABTw0AA0AgAyACbCAALQAAaiEDIABBAWohACAAIAFJDQALCyADCw==';

/** Its memory: 128 bytes of its own, then the bytes that it is given. */
const scratchBytes = 128;
const memoryBytes = 5 * 65_536;
const roomBytes = memoryBytes - scratchBytes;

/** What is used of the `WebAssembly` that every Node has unless it was started without (`--jitless`). */
interface Assembly {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: Record<string, unknown> };
}

type WeakOf = (at: number, end: number, multiplier: number, sum: number) => number;

interface Loaded {
  bytes: Uint8Array;
  weak: WeakOf;
}

let loaded: Loaded | undefined;
let tried = false;

/** Once. @returns undefined where there is no WebAssembly, or none with SIMD */
function load(): Loaded | undefined {
  if (tried) return loaded;
  tried = true;
  const { WebAssembly: assembly } = globalThis as { WebAssembly?: Assembly };
  if (assembly === undefined) return undefined;
  try {
    const { memory, weak } = new assembly.Instance(new assembly.Module(Buffer.from(code, 'base64'))).exports;
    loaded = { bytes: new Uint8Array((memory as { buffer: ArrayBuffer }).buffer), weak: weak as WeakOf };
  } catch {
    // Without SIMD it does not compile: the loop does as well.
  }
  return loaded;
}

/**
 * The weak sum of `bytes` in [from, to), as `Sums.weak` has it.
 *
 * @returns undefined where it cannot be had so
 */
export function weakBySimd(multiplier: number, bytes: Uint8Array, from: number, to: number): number | undefined {
  const module = load();
  if (module === undefined) return undefined;
  let sum = 0;
  // The bytes are copied to where the module sees them; it reads no others.
  for (let at = from; at < to; at += roomBytes) {
    const piece = bytes.subarray(at, Math.min(at + roomBytes, to));
    module.bytes.set(piece, scratchBytes);
    sum = module.weak(scratchBytes, scratchBytes + piece.length, multiplier, sum);
  }
  return sum;
}
