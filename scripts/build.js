/**
 * Builds `dist/`: the command, the agent worker, the library and its types.
 *
 *     node scripts/build.js [--no-types] [--quiet] [--force]
 *
 * Everything is bundled, so that the published package has no dependencies: what a user installs is what was tested.
 * Nothing is done when nothing changed since the last build, which keeps `npm start` quick.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { optionTypes } from './option-types.js';

const root = path.dirname(import.meta.dirname);
const dist = path.join(root, 'dist');
const stampFile = path.join(dist, '.stamp');

/** What a build depends on. Directories count too: a removed file changes nothing but its directory's mtime. */
const sources = ['src', 'scripts/build.js', 'scripts/launcher.cjs', 'package.json', 'package-lock.json'];
const typeSources = [...sources, 'scripts/option-types.js', 'tsconfig.json', 'tsconfig.types.json'];

/** The files that make a build complete; a missing one means that somebody cleaned up by hand. */
const bundleOutputs = ['lockstep.cjs', 'cli.cjs', 'agent-worker.cjs', 'agent.cjs', 'index.js'];
const typeOutputs = ['types/index.d.ts'];

const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

/**
 * Names and lines stay as they are, so that a stack trace in a bug report can be read, and so that an uncaught error does
 * not print one line of 100 KB. Mangling and joining lines would gain about 1 ms of start-up, of 70.
 */
const readable = { compress: true, mangle: false, codegen: { removeWhitespace: false } };

const cjsIntro = (chunk) =>
  `const __lockstepDist = ${chunk.isEntry ? '__dirname' : 'require("node:path").dirname(__dirname)'};`;

/**
 * One file for each of these modules with everything that it imports and no earlier one did: left to itself, what is loaded
 * later as well comes in a dozen small files, and each takes half a millisecond of a start.
 */
const together = (...modules) => ({
  groups: modules.map((module, at) => ({
    name: path.basename(module, '.ts'),
    test: (id) => id === path.join(root, module),
    priority: modules.length - at,
    includeDependenciesRecursively: true,
  })),
});

/**
 * The bundles. Code in `chunks/` and in an entry must see the same directory, or a file would find its neighbours
 * (`agent-worker.cjs`) only as long as nobody loads it lazily: `import.meta.dirname` is the directory of the entries
 * in either.
 */
const bundles = [
  {
    // CommonJS starts 5 ms faster than ESM on Node 20. The launcher, lockstep.cjs, loads it.
    input: { cli: 'src/cli/main.ts' },
    transform: { target: 'node20.19' },
    output: {
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: 'chunks/[name]-[hash].cjs',
      codeSplitting: together('src/cli/program.ts'),
      minify: readable,
      intro: cjsIntro,
    },
  },
  {
    input: { 'agent-worker': 'src/replica/agent/worker.ts' },
    transform: { target: 'node20.19' },
    output: {
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: 'chunks/[name]-[hash].cjs',
      codeSplitting: together('src/replica/local/local-replica.ts'),
      minify: readable,
      intro: cjsIntro,
    },
  },
  {
    // One file, because it is sent through a pipe; Node 18, because that is what Debian 12 has at the far end.
    input: { agent: 'src/replica/agent/main.ts' },
    transform: { target: 'node18' },
    output: {
      format: 'cjs',
      entryFileNames: '[name].cjs',
      codeSplitting: false,
      // Nobody reads it over there, and every byte of it is sent.
      minify: true,
      // There is no directory of it, and in a thread that runs its text not even a name for one.
      intro: 'const __lockstepDist = "/";',
    },
  },
  {
    input: { index: 'src/index.ts' },
    transform: { target: 'node20.19' },
    output: {
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
      minify: readable,
      intro: (chunk) =>
        chunk.isEntry
          ? 'const __lockstepDist = import.meta.dirname;'
          : 'const __lockstepDist = import.meta.dirname.replace(/.chunks$/, "");',
    },
  },
];

/**
 * commander loads `node:child_process` for subcommands that are programs of their own, which we have none of: 10 ms of each
 * start. Here it does so only when it uses it.
 */
const lazyChildProcess = {
  name: 'lazy-child-process',
  transform(code, id) {
    if (!id.endsWith('/commander/lib/command.js')) return null;
    const eager = "const childProcess = require('node:child_process');\n";
    if (!code.includes(eager)) throw new Error('commander has changed: see lazyChildProcess in scripts/build.js');
    return code.replace(eager, '').replaceAll('childProcess.spawn(', "require('node:child_process').spawn(");
  },
};

/**
 * Bundles in memory.
 *
 * @returns {Promise<{ fileName: string, code: string, moduleIds: string[] }[]>} every file with the modules inside it
 * @throws when an import is left over that is neither Node's own nor another file of the bundle
 */
export async function bundle() {
  const { rolldown } = await import('rolldown');
  const built = await Promise.all(
    bundles.map(async ({ input, transform, output }) => {
      const warnings = [];
      const build = await rolldown({
        cwd: root,
        input,
        platform: 'node',
        tsconfig: false,
        transform: {
          ...transform,
          define: {
            __LOCKSTEP_VERSION__: JSON.stringify(manifest.version),
            'import.meta.dirname': '__lockstepDist',
          },
        },
        plugins: [lazyChildProcess],
        onLog: (_level, log) => warnings.push(log.message),
      });
      const { output: chunks } = await build.generate({ ...output, comments: false });
      await build.close();
      // A warning of a bundler is an error of the person at the terminal a month later.
      if (warnings.length > 0) throw new Error(warnings.join('\n'));
      const own = new Set(chunks.map((chunk) => chunk.fileName));
      const missing = chunks
        .flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports])
        .filter((name) => !own.has(name) && !isBuiltin(name));
      if (missing.length > 0) throw new Error(`not bundled: ${missing.join(', ')}`);
      return chunks.map(({ fileName, code, moduleIds }) => ({ fileName, code: ascii(code), moduleIds }));
    }),
  );
  return built.flat();
}

/**
 * A file with one character beyond Latin-1 takes two bytes a character in memory, and twice as long to read. Escapes mean the
 * same in strings, templates, regular expressions and names; what has `String.raw` is left as it is.
 */
function ascii(code) {
  if (code.includes('String.raw')) return code;
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The program that `bin` names: see scripts/launcher.cjs. */
function launcher() {
  const floor = /^>=(\d+\.\d+)$/.exec(manifest.engines.node)?.[1];
  if (floor === undefined) throw new Error(`engines.node is not ">=major.minor": ${manifest.engines.node}`);
  const code = fs.readFileSync(path.join(import.meta.dirname, 'launcher.cjs'), 'utf8');
  return { fileName: 'lockstep.cjs', code: code.replace('__NODE_FLOOR__', floor), moduleIds: [] };
}

async function writeBundles() {
  const chunks = (await bundle()).filter(({ code }) => code !== '');
  // Entries last: whoever starts the command meanwhile gets the old build or the new one, never a mixture.
  const entriesLast = [...chunks.sort((a, b) => Number(isEntry(a)) - Number(isEntry(b))), launcher()];
  for (const { fileName, code } of entriesLast) {
    const target = path.join(dist, fileName);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    const temporary = path.join(dist, `.${process.pid}-${path.basename(fileName)}`);
    fs.writeFileSync(temporary, code, { mode: fileName === 'lockstep.cjs' ? 0o755 : 0o644 });
    fs.renameSync(temporary, target);
  }
  removeAllBut(new Set(['types', 'chunks', ...entriesLast.map(({ fileName }) => fileName)]));
}

function isEntry({ fileName }) {
  return !fileName.includes('/');
}

/**
 * Removes what an earlier build left behind; `npm pack` would ship it. Names with a dot in front are the stamp and what
 * another build is writing at this moment: package.json keeps them out of the package.
 */
function removeAllBut(wanted) {
  for (const dir of ['', 'chunks/']) {
    for (const name of listing(path.join(dist, dir))) {
      if (!wanted.has(dir + name) && !name.startsWith('.'))
        fs.rmSync(path.join(dist, dir, name), { recursive: true, force: true });
    }
  }
}

function listing(dir) {
  return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
}

/** Emits the types beside the old ones and swaps them, so that no type of a removed file survives. */
async function writeTypes() {
  const fresh = path.join(dist, `.${process.pid}-types`);
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  try {
    const described = path.join(dist, `.${process.pid}-options.mjs`);
    const [options] = await Promise.all([
      optionTypes(described).finally(() => fs.rmSync(described, { force: true })),
      run([tsc, '-p', 'tsconfig.types.json', '--outDir', fresh]),
    ]);
    fs.writeFileSync(path.join(fresh, 'workspace/options.d.ts'), options);
    fs.rmSync(path.join(dist, 'types'), { recursive: true, force: true });
    fs.renameSync(fresh, path.join(dist, 'types'));
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
}

function run(args) {
  return new Promise((resolve, reject) => {
    // Its messages go to stderr: the stdout of `npm start` belongs to the command.
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${path.basename(args[0])} failed`));
    });
  });
}

/** A digest of the names, sizes and times of files and directories, recursively. */
function fingerprint(names) {
  const hash = createHash('sha256');
  const visit = (name) => {
    const stat = fs.statSync(path.join(root, name), { throwIfNoEntry: false, bigint: true });
    hash.update(`${name}\0${stat?.size}\0${stat?.mtimeNs}\n`);
    if (stat?.isDirectory()) for (const child of listing(path.join(root, name)).sort()) visit(`${name}/${child}`);
  };
  names.forEach(visit);
  return hash.digest('hex');
}

function readStamp() {
  try {
    return JSON.parse(fs.readFileSync(stampFile, 'utf8'));
  } catch {
    return {}; // No build yet, or one that was interrupted: build.
  }
}

function complete(outputs) {
  return outputs.every((name) => fs.existsSync(path.join(dist, name)));
}

async function main() {
  const { values } = parseArgs({
    options: { 'no-types': { type: 'boolean' }, quiet: { type: 'boolean' }, force: { type: 'boolean' } },
  });
  const started = performance.now();
  const stamp = values.force ? {} : readStamp();
  // Taken before the work: what is edited during it is built next time.
  const now = { bundle: fingerprint(sources), types: fingerprint(typeSources) };
  const parts = [];
  if (stamp.bundle !== now.bundle || !complete(bundleOutputs)) parts.push('bundle');
  if (!values['no-types'] && (stamp.types !== now.types || !complete(typeOutputs))) parts.push('types');
  if (parts.length > 0) {
    fs.mkdirSync(dist, { recursive: true });
    await Promise.all(parts.map((part) => (part === 'bundle' ? writeBundles() : writeTypes())));
    const done = Object.fromEntries(parts.map((part) => [part, now[part]]));
    fs.writeFileSync(stampFile, JSON.stringify({ ...stamp, ...done }));
  }
  if (values.quiet) return;
  const what = parts.length === 0 ? 'nothing changed' : `built ${parts.join(' and ')}`;
  process.stderr.write(`${what} in ${((performance.now() - started) / 1000).toFixed(2)} s\n`);
}

if (process.argv[1] === import.meta.filename) {
  main().catch((error) => {
    process.stderr.write(`build failed: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  });
}
