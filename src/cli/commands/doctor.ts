/** `lockstep doctor`: what was found here and over there, and what is missing costs. */
import { Command } from '@commander-js/extra-typings';
import { exitCodes } from '../../base/errors.ts';
import { escapeControls } from '../../base/text.ts';
import type { Finding } from '../../workspace/doctor.ts';
import { untilInterrupted } from '../interrupt.ts';
import { addRemoteOptions, remoteAccess } from './remote.ts';
import type { Run } from './sync.ts';

const help = `
Nothing is written anywhere. Exit 1 when something will not work.

Examples:
  lockstep doctor                                   this machine
  lockstep doctor web:/srv/app                      and what is at the other end of ssh
  lockstep doctor docker://db/data --agent sh       as if there were no Node in the container
  lockstep doctor /data -- docker exec -i db sh
`;

export function doctorCommand(run: Run): Command {
  const command = new Command('doctor')
    .description('Look at this machine, and at an endpoint: what is there, and what each missing tool costs.')
    .argument('[ENDPOINT]', 'a root as sync takes it')
    .option('--json', 'one JSON object per finding on stdout')
    .addHelpText('after', help)
    .action(async (endpoint, options) => {
      const { examineEndpoint, examineHere } = await import('../../workspace/doctor.ts');
      const show = (finding: Finding): void => {
        if (finding.verdict === 'problem') run.setExitCode(exitCodes.failed);
        process.stdout.write(
          options.json === true ? `${JSON.stringify({ v: 1, type: 'finding', ...finding })}\n` : lineOf(finding),
        );
      };
      for (const finding of await examineHere()) show(finding);
      if (endpoint === undefined) return;
      const findings = await untilInterrupted(async (signal) =>
        examineEndpoint(endpoint, {
          ...remoteAccess(options),
          ...(run.remoteCommand === undefined ? {} : { remoteCommand: run.remoteCommand }),
          signal,
          onStderr: (line) => process.stderr.write(`${escapeControls(line)}\n`),
        }),
      );
      for (const finding of findings) show(finding);
    });
  addRemoteOptions(command as unknown as Command);
  return command as unknown as Command;
}

const marks = { ok: ' ', cost: '~', problem: '!' } as const;

function lineOf({ about, what, found, verdict, advice }: Finding): string {
  const line = `${marks[verdict]} ${about.padEnd(5)}  ${what.padEnd(28)} ${escapeControls(found)}\n`;
  return advice === undefined ? line : `${line}         ${''.padEnd(28)} ${escapeControls(advice)}\n`;
}
