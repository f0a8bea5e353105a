/** Put in by scripts/build.js. */
declare const __LOCKSTEP_VERSION__: string;

/** Lockstep's version, as in package.json. */
export const version: string = typeof __LOCKSTEP_VERSION__ === 'string' ? __LOCKSTEP_VERSION__ : '0.0.0';
