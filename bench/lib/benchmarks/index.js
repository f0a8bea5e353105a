import { edit5000 } from './edit-5000.js';
import { firstCopy } from './first-copy.js';
import { memory } from './memory.js';
import { rename } from './rename.js';
import { shellFirstCopy } from './shell-first-copy.js';
import { shellUnchanged } from './shell-unchanged.js';
import { smallChange } from './small-change.js';
import { sshDelta } from './ssh-delta.js';
import { sshFirstCopy } from './ssh-first-copy.js';
import { sshRename } from './ssh-rename.js';
import { sshUnchanged } from './ssh-unchanged.js';
import { unchanged } from './unchanged.js';

/** In the order they are run. */
export const benchmarks = [
  firstCopy,
  unchanged,
  smallChange,
  rename,
  edit5000,
  memory,
  sshFirstCopy,
  sshUnchanged,
  sshDelta,
  sshRename,
  shellFirstCopy,
  shellUnchanged,
];
