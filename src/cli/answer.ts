/**
 * How a live run in the foreground is told to go on past a guard: the word "continue" on a terminal, or SIGUSR2.
 *
 * @param proceed answers all guards that halted a link @returns what ends listening
 */
export function onAnswer(proceed: () => number): () => void {
  let line = '';
  const onText = (text: string): void => {
    line += text;
    for (let end = line.indexOf('\n'); end >= 0; end = line.indexOf('\n')) {
      if (line.slice(0, end).trim() === 'continue') proceed();
      line = line.slice(end + 1);
    }
  };
  const onSignal = (): void => void proceed();
  process.on('SIGUSR2', onSignal);
  const { stdin } = process;
  if (stdin.isTTY) stdin.setEncoding('utf8').on('data', onText).unref();
  return () => {
    process.off('SIGUSR2', onSignal);
    if (!stdin.isTTY) return;
    stdin.off('data', onText);
    stdin.pause();
  };
}
