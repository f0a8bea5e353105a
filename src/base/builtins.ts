/**
 * Node's heavier modules, loaded when first used: they cost a starting process or thread several milliseconds that most
 * runs never need.
 */
import type * as ChildProcess from 'node:child_process';
import type * as Crypto from 'node:crypto';

export function crypto(): typeof Crypto {
  return process.getBuiltinModule('node:crypto');
}

export function childProcess(): typeof ChildProcess {
  return process.getBuiltinModule('node:child_process');
}
