/** A tree, and 2,000 changes to it on both sides: the same ones every time. */
import fs from 'node:fs';
import path from 'node:path';

const epoch = 1_700_000_000;

/** Makes a root of `dirs` × 20 files. */
export function plant(root: string, dirs: number): void {
  for (let d = 0; d < dirs; d += 1) {
    for (let f = 0; f < 20; f += 1) put(root, `d${d}/s${f % 2}/f${f}`, `first ${d} ${f}\n`);
  }
}

/** What changes a root went through, by number of directories planted; about 20 changes a directory. */
export function churn(a: string, b: string, dirs: number): void {
  for (let d = 0; d < dirs; d += 1) {
    const own = [a, b][d % 2] ?? a;
    const other = own === a ? b : a;
    const dir = `d${d}`;
    for (let f = 0; f < 6; f += 1) put(own, `${dir}/s${f % 2}/f${f}`, `edited ${d} ${f} ${'x'.repeat(f * 50)}\n`);
    for (let f = 0; f < 4; f += 1) put(own, `${dir}/new/n${f}`, `new ${d} ${f}\n`);
    for (let f = 6; f < 9; f += 1) fs.rmSync(path.join(own, dir, `s${f % 2}`, `f${f}`));
    fs.renameSync(path.join(own, dir, 's1', 'f9'), path.join(own, dir, 's1', 'moved'));
    swap(path.join(own, dir, 's0', 'f10'), path.join(own, dir, 's0', 'f12'));
    fs.chmodSync(path.join(own, dir, 's1', 'f11'), 0o640);
    // The other side has its say in the same directory.
    put(other, `${dir}/s0/f14`, `other side ${d}\n`);
    fs.rmSync(path.join(other, dir, 's1', 'f15'));
    put(other, `${dir}/from-the-other/side`, `here ${d}\n`);
    if (d % 5 === 0) {
      fs.rmSync(path.join(own, dir, 's0', 'f16'));
      put(own, `${dir}/s0/f16/is/a/directory/now`, `deep ${d}\n`);
      fs.symlinkSync('moved', path.join(own, dir, 's1', 'link'));
    }
    if (d % 7 === 0) {
      fs.mkdirSync(path.join(own, dir, 'closed'));
      put(own, `${dir}/closed/inside`, `closed ${d}\n`);
      fs.chmodSync(path.join(own, dir, 'closed'), 0o555);
    }
    if (d % 9 === 0) fs.renameSync(path.join(other, dir), path.join(other, `renamed-${d}`));
  }
}

function put(root: string, relative: string, text: string): void {
  const full = path.join(root, relative);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, text);
  fs.utimesSync(full, epoch, epoch + text.length);
}

function swap(x: string, y: string): void {
  fs.renameSync(x, `${x}.aside`);
  fs.renameSync(y, x);
  fs.renameSync(`${x}.aside`, y);
}
