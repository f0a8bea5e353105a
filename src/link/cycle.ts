/** One cycle of a link between two roots, from opening them to closing them: what a one-shot run is. */
import type { Summary } from './events.ts';
import { pruneHistories, runPass } from './pass.ts';
import { Report } from './report.ts';
import { scanBoth } from './scanning.ts';
import { Session, type LinkRequest } from './session.ts';

/** After a run that wrote no more than this, it waits (shortly) until the data is stored, see baseline.ts. */
const flushBytes = 64 << 20;

/** Runs one cycle. @throws GuardError before anything is written; InterruptedError; LockstepError */
export async function runCycle(request: LinkRequest): Promise<Summary> {
  const report = new Report(request.listener, request.options.dryRun);
  const session = new Session(request);
  try {
    await session.open(report, true);
    await runPass({
      session,
      report,
      scan: scanBoth,
      isPartial: false,
      isFirst: true,
      deletedBefore: { a: 0, b: 0 },
      tokenValidMs: 0,
    });
    if (!request.options.dryRun) await finish(session, report);
    return report.end();
  } finally {
    await session.close(report);
  }
}

async function finish(session: Session, report: Report): Promise<void> {
  const { baseline } = session;
  const { total, bytes } = report.summary;
  if (total > 0) {
    baseline.flush();
    if (bytes <= flushBytes && (await session.flush())) baseline.markDurable();
  }
  await pruneHistories(session, report);
}
