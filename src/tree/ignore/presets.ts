/**
 * Ready-made pattern lists, chosen by name (`--exclude-preset node`, `ignore: { presets: [node] }`).
 *
 * A preset holds what is private to one machine or to one person's tools, or what a tool makes again. A common name that
 * may as well be somebody's work (`bin/`, `lib/`, `env/`, `*.log`, `*.obj`, `*.pdb`) is left out. No preset re-includes anything, so their order
 * among each other does not matter. All are lowest in precedence: a pattern or an ignore file can take anything back.
 */

/** The patterns of each preset, by its name. */
export const presets: Readonly<Record<string, readonly string[]>> = {
  // Repositories' own data: two programs must not write one, and half of a transaction must not be carried over.
  // Without a final slash, because `.git` is a file in worktrees and submodules. `.gitignore` and its like stay.
  vcs: ['.git', '.hg', '.svn', '.bzr', '.jj', '.pijul', '_darcs', 'CVS/', '.fslckout', '_FOSSIL_', '.sl/', '.repo/'],

  // Everything hidden, files and directories, at any depth. This covers the ignore files too: they still rule, each on
  // its own side, but do not travel.
  dotfiles: ['.*'],

  // Installed packages, package managers' caches and debug logs; made again by an install from the lock file.
  node: [
    'node_modules/',
    'jspm_packages/',
    'bower_components/',
    '.npm/',
    '.pnpm-store/',
    '.yarn/cache/',
    '.yarn/unplugged/',
    '.yarn/install-state.gz',
    '.pnp.cjs',
    '.pnp.loader.mjs',
    '.eslintcache',
    '.stylelintcache',
    '.node_repl_history',
    '.nyc_output/',
    'npm-debug.log*',
    'yarn-debug.log*',
    'yarn-error.log*',
    '.pnpm-debug.log*',
  ],

  // Byte code, virtual environments (they hold absolute paths, so a copy does not work elsewhere) and tools' caches.
  python: [
    '__pycache__/',
    '*.py[cod]',
    '*$py.class',
    '.venv/',
    'venv/',
    '__pypackages__/',
    '*.egg-info/',
    '.eggs/',
    '.pytest_cache/',
    '.mypy_cache/',
    '.ruff_cache/',
    '.pytype/',
    '.pyre/',
    '.hypothesis/',
    '.ipynb_checkpoints/',
    '.tox/',
    '.nox/',
    '.coverage',
    '.coverage.*',
    'htmlcov/',
  ],

  // What Cargo, rustfmt and cargo-mutants put out.
  rust: ['target/', '*.rs.bk', 'mutants.out*/'],

  // Editors' swap, backup, lock and undo files, and their project directories, which are about one person's windows at
  // least as much as about the project.
  editors: [
    // Vim. Without the dot, the second would take in `.swf`.
    '.sw[a-p]',
    '.*.sw[a-p]',
    '.netrwhist',
    // Emacs; `*~` is also nano's, gedit's and many others' backup.
    '*~',
    '\\#*#',
    '.#*',
    '.auto-save-list/',
    // Kate, LibreOffice, Microsoft Office.
    '.*.kate-swp',
    '.~lock.*#',
    '~$*',
    // Projects of whole environments.
    '.idea/',
    '*.iws',
    '.vscode/',
    '.vs/',
    '.fleet/',
    '.zed/',
    '*.sublime-workspace',
    '.nova/',
    '*.xcuserstate',
    'xcuserdata/',
  ],

  // What operating systems leave in directories by themselves.
  os: [
    // macOS. The name of a folder's icon really ends in a carriage return.
    '.DS_Store',
    '._*',
    '.AppleDouble',
    '.LSOverride',
    'Icon\r',
    '.DocumentRevisions-V100/',
    '.fseventsd/',
    '.Spotlight-V100/',
    '.TemporaryItems/',
    '.Trashes/',
    '.VolumeIcon.icns',
    '.apdisk',
    // Windows, in both spellings that it uses.
    'Thumbs.db',
    'Thumbs.db:encryptable',
    'ehthumbs.db',
    '[Dd]esktop.ini',
    '$RECYCLE.BIN/',
    'System Volume Information/',
    // Linux: trash of a mounted disk, open files that were deleted over NFS or FUSE, what fsck found.
    '.Trash-*/',
    '.nfs[0-9a-f]*',
    '.fuse_hidden*',
    '.directory',
    'lost+found/',
  ],

  // What compilers, bundlers and test runs put out. The widest of the presets: `build/` and `out/` are ignored by name.
  build: [
    'build/',
    'dist/',
    'out/',
    'target/',
    'coverage/',
    'cmake-build-*/',
    'CMakeFiles/',
    'CMakeCache.txt',
    'bazel-bin',
    'bazel-out',
    'bazel-testlogs',
    'DerivedData/',
    '.gradle/',
    '.next/',
    '.nuxt/',
    '.output/',
    '.svelte-kit/',
    '.angular/cache/',
    '.parcel-cache/',
    '.turbo/',
    '.vite/',
    '.cache/',
    '.ccls-cache/',
    '.clangd/',
    '.zig-cache/',
    'zig-out/',
    '_build/',
    '.stack-work/',
    'dist-newstyle/',
    '*.o',
    '*.gch',
    '*.class',
    '*.tsbuildinfo',
  ],
};

/** True when there is a preset of this name. */
export function isPreset(name: string): boolean {
  return Object.hasOwn(presets, name);
}
