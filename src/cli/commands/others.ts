/** The commands that do not sync. */
export { doctorCommand } from './doctor.ts';
export { historyCommand } from './history.ts';
export { restoreCommand } from './restore.ts';
export { serveCommand } from './serve.ts';
