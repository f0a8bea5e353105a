import { edit5000 } from './edit-5000.js';
import { firstCopy } from './first-copy.js';
import { memory } from './memory.js';
import { rename } from './rename.js';
import { smallChange } from './small-change.js';
import { unchanged } from './unchanged.js';

/** In the order they are run. */
export const benchmarks = [firstCopy, unchanged, smallChange, rename, edit5000, memory];
