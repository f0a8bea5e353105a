/**
 * The rooms of `src/`, top to bottom, and the one rule between them: a file imports only from its own room or from
 * rooms below it. ESLint enforces it (see eslint.config.js); scripts/layers-proof.js proves that it does;
 * docs/architecture.md draws it.
 *
 * The rule works on resolved paths, not on the text of an import: `./agent/x.ts` in `replica/` and `../agent/x.ts` in
 * `replica/local/` are the same upward import as `../replica/agent/x.ts` elsewhere.
 */

import { isBuiltin } from 'node:module';
import path from 'node:path';

const src = path.join(path.dirname(import.meta.dirname), 'src');

/** Rooms of one rank do not know each other. */
export const ranks = [
  ['cli'],
  // The library's entry is for users and for the command, which uses nothing that a user could not.
  ['index.ts'],
  ['dashboard'],
  ['daemon'],
  ['workspace'],
  ['link'],
  // The three kinds of replica do not know each other, but the agent serves the local one, so it stands above it.
  ['replica/agent', 'replica/shell'],
  ['replica/local'],
  ['replica'],
  ['transport'],
  ['wire'],
  ['reconcile'],
  ['tree', 'delta'],
  ['base'],
];

/** Rooms that do no I/O at all: of Node's modules and globals they get those that only compute. */
const pureRooms = ['tree', 'reconcile', 'delta'];
const computingModules = ['assert', 'buffer', 'crypto', 'path', 'path/posix', 'string_decoder', 'util', 'zlib'];
const outsideGlobals = ['process', 'fetch', 'WebSocket'];

const rooms = ranks.flat();
const rankOf = (room) => ranks.findIndex((rank) => rank.includes(room));

/**
 * @param {string} file a path below `src/`, relative to it
 * @returns {string | undefined} its room; none when scripts/layers.js has never heard of its directory
 */
export function roomOf(file) {
  const inside = (room) => file === room || file.startsWith(`${room}/`);
  const room = rooms.filter(inside).sort((a, b) => b.length - a.length)[0];
  // A room with rooms inside, as replica/ is, has no directories of its own: a new one is to be ranked first.
  const hasRooms = rooms.some((other) => room !== undefined && other.startsWith(`${room}/`));
  return hasRooms && path.posix.dirname(file) !== room ? undefined : room;
}

/** @returns {string | undefined} what is wrong with importing `specifier` in `file`, both absolute or as written */
function complaint(file, specifier) {
  const isTest = file.endsWith('.test.ts');
  const from = path.relative(src, file);
  const room = roomOf(from);
  if (room === undefined) return `src/${path.dirname(from)}/ has no rank yet: give it one in scripts/layers.js.`;

  if (isBuiltin(specifier)) {
    const pure = !pureRooms.includes(room) || computingModules.includes(specifier.replace(/^node:/, ''));
    return pure || isTest ? undefined : `${room}/ is pure: no I/O here, so no ${specifier}.`;
  }
  const isOwnName = specifier === 'lockstep' || specifier.startsWith('lockstep/');
  if (!specifier.startsWith('.') && !isOwnName) return undefined;

  const to = isOwnName ? 'index.ts' : path.relative(src, path.resolve(path.dirname(file), specifier));
  if (to.startsWith('..')) {
    return isTest ? undefined : 'Code in src/ imports nothing from outside it: it would not be in the package.';
  }
  const target = roomOf(to);
  if (target === undefined) return `src/${path.dirname(to)}/ has no rank yet: give it one in scripts/layers.js.`;
  if (target === room || rankOf(target) > rankOf(room)) return undefined;
  return `${room} may not import from ${target}: imports only go down (docs/architecture.md).`;
}

const layers = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const check = (source) => {
      if (typeof source?.value !== 'string') return;
      const message = complaint(context.filename, source.value);
      if (message !== undefined) context.report({ node: source, message });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source),
      TSExternalModuleReference: (node) => check(node.expression),
    };
  },
};

/** @returns ESLint configuration that holds `src/` to its layers */
export function layerRules() {
  return [
    {
      files: ['src/**/*.ts'],
      plugins: { lockstep: { rules: { layers } } },
      rules: { 'lockstep/layers': 'error' },
    },
    {
      files: pureRooms.map((room) => `src/${room}/**/*.ts`),
      ignores: ['**/*.test.ts'],
      rules: {
        'no-restricted-globals': [
          'error',
          ...outsideGlobals.map((name) => ({ name, message: 'This room is pure: no I/O here.' })),
        ],
      },
    },
  ];
}
