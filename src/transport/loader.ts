/**
 * How a program gets into a Node at the far end that shares its stdin with the program's own input.
 *
 * `node -` would read stdin to its end before it runs anything. So Node is started with a few lines of our own (`-e`) that take
 * exactly so many bytes from stdin, run them, and leave the rest to the program. They are base64 on the command line,
 * because that survives every shell.
 */
import { crypto, zlib } from '../base/builtins.ts';
import type { Marker } from './marker.ts';

/** What a sent program may use: Debian 12's own Node is this one. */
export const minimumNodeMajor = 18;

/** A program ready to be sent: packed once, used for many connections. */
export interface Program {
  /** SHA-256 of its source, in hexadecimal. */
  sha256: string;
  /** Eight hexadecimal digits, the length of what follows, and the source deflated. */
  packed: Buffer;
}

/** @param source one CommonJS file that needs nothing but Node's own modules */
export function packProgram(source: string | Uint8Array): Program {
  const deflated = zlib().deflateRawSync(source, { level: 9 });
  const length = deflated.length.toString(16).padStart(8, '0');
  return {
    sha256: crypto().createHash('sha256').update(source).digest('hex'),
    packed: Buffer.concat([Buffer.from(length), deflated]),
  };
}

/** What the loader answers, after the marker and a space. */
export type LoaderReply =
  /** The program starts: its output follows. */
  | { kind: 'started'; cached: boolean }
  /** It is not in the cache: send it. */
  | { kind: 'wanted' }
  | { kind: 'too-old'; version: string }
  /** What arrived is not what was sent. */
  | { kind: 'damaged' };

export function parseLoaderReply(text: string): LoaderReply | undefined {
  if (text === 'run sent' || text === 'run cached') return { kind: 'started', cached: text === 'run cached' };
  if (text === 'send') return { kind: 'wanted' };
  if (text === 'damaged') return { kind: 'damaged' };
  const old = /^old (v[0-9.]{1,30})/.exec(text)?.[1];
  return old === undefined ? undefined : { kind: 'too-old', version: old };
}

/**
 * The value of Node's `-e`: `eval(Buffer.from('…','base64')+'')`.
 *
 * It holds single quotes and parentheses, and no double quote, `$`, backslash or `!`: put it in double quotes.
 *
 * @param cached look for the program in the far side's cache first, and keep it there
 */
export function loaderExpression(marker: Marker, program: Program, cached: boolean): string {
  const settings = JSON.stringify([marker.text, program.sha256, minimumNodeMajor, cached]);
  const source = `(${loader})(${settings})`;
  return `eval(Buffer.from('${Buffer.from(source).toString('base64')}','base64')+'')`;
}

/**
 * ES5, because a Node that is too old must still be able to say so.
 *
 * Reading waits by itself where stdin is non-blocking (EAGAIN), which a pipe may be without our doing. The file name given
 * to `_compile` must be absolute: Node 16 and 18 fail on `import()` otherwise. A program in the cache is run only if its
 * digest is right: from memory, so that it cannot change in between. A cache that cannot be used is done without.
 */
const loader = `function(o){
var f=require('fs'),c=require('crypto'),h=require('path'),p=process,s,d,t;
function nap(){Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,5)}
function say(x){var b=Buffer.from(o[0]+' '+x+'\\n'),n=0;while(n<b.length){try{n+=f.writeSync(1,b,n,b.length-n)}catch(e){if(e.code!=='EAGAIN')throw e;nap()}}}
function take(n){var b=Buffer.alloc(n),i=0,k;while(i<n){try{k=f.readSync(0,b,i,n-i,null)}catch(e){if(e.code==='EAGAIN'){nap();continue}if(e.code!=='EOF')throw e;k=0}
if(!k)p.exit(1);i+=k}return b}
function right(b){return c.createHash('sha256').update(b).digest('hex')===o[1]}
if(parseInt(p.versions.node,10)<o[2])return say('old '+p.version);
if(o[3]){try{d=p.env.XDG_CACHE_HOME||'';d=h.join(d[0]==='/'?d:h.join(require('os').homedir(),'.cache'),'lockstep');t=h.join(d,'agent-'+o[1]+'.cjs');s=f.readFileSync(t)}catch(e){}
if(s&&right(s)){d=null}else{s=null;say('send')}}
if(!s){s=require('zlib').inflateRawSync(take(parseInt(take(8)+'',16)),{maxOutputLength:67108864});
if(!right(s))return say('damaged');
if(d){try{f.mkdirSync(d,{recursive:true,mode:448});var w=t+'.'+c.randomBytes(6).toString('hex');f.writeFileSync(w,s,{flag:'wx',mode:384});f.renameSync(w,t)}catch(e){if(w)try{f.unlinkSync(w)}catch(g){}}}}
say('run '+(o[3]&&!d?'cached':'sent'));
t=new module.constructor('/agent.cjs');t.filename='/agent.cjs';t._compile(t.source=s+'','/agent.cjs')}`;
