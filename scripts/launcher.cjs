#!/usr/bin/env node
/*
 * Becomes dist/lockstep.cjs. It is written in old JavaScript on purpose: a Node that is too old must get as far as the
 * message below instead of stopping at syntax that it does not know.
 */
'use strict';

var floor = '__NODE_FLOOR__'.split('.').map(Number);
var version = process.versions.node.split('.').map(Number);

if (version[0] < floor[0] || (version[0] === floor[0] && version[1] < floor[1])) {
  var found = process.version + ' (' + process.execPath + ')';
  process.stderr.write('lockstep needs Node ' + floor.join('.') + ' or newer; this is ' + found + '\n');
  process.exitCode = 1;
} else {
  enableCompileCache();
  require('./cli.cjs');
}

/*
 * Node 22 and later can keep compiled code between runs, which takes 3 to 4 ms off a start of 33. Only below the user's
 * own cache directory and only where that exists: Node's default is a name in /tmp that another user could have taken,
 * and a tool that synchronises home directories does not make new directories in them unasked.
 */
function enableCompileCache() {
  var enable = require('node:module').enableCompileCache;
  if (!enable) return;
  var cache = process.env.XDG_CACHE_HOME || (process.env.HOME && process.env.HOME + '/.cache');
  if (cache && cache[0] === '/' && require('node:fs').existsSync(cache)) enable(cache + '/lockstep/compiled');
}
