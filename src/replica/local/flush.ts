import { childProcess } from '../../base/builtins.ts';

/** `syncfs(2)`, which Node does not offer, by way of coreutils' `sync -f`. A missing or older `sync` is a plain false. */
export async function flushFileSystem(root: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = childProcess().spawn('sync', ['-f', '--', root], { stdio: 'ignore', cwd: '/' });
    const timer = setTimeout(() => {
      // It may hang in the kernel until the disk is done; nobody needs to wait for it.
      child.kill();
      child.unref();
      resolve(false);
    }, timeoutMs);
    const end = (ok: boolean): void => {
      clearTimeout(timer);
      resolve(ok);
    };
    child.on('error', () => end(false));
    child.on('exit', (code) => end(code === 0));
  });
}
