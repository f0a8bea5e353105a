import { crypto } from '../../base/builtins.ts';
import { inodeOf, type DirHandles } from './dir-handles.ts';
import type { OwnDirectory } from './own-directory.ts';

/** What makes a root this one. */
export interface RootIdentity {
  id: string;
  /** The id was made up just now and is on disk only once `keepIdentity` was called. */
  isNew: boolean;
}

/**
 * What makes this root this one (DESIGN §3.8): with marks a random id in `.lockstep/id`; otherwise device and inode.
 *
 * Writes nothing: a root that a guard refuses may be the mount point of a disk that comes back.
 *
 * @param mayWrite false in a dry run: a root without an id then has the empty identity
 */
export function rootIdentity(own: OwnDirectory, handles: DirHandles, marks: boolean, mayWrite: boolean): RootIdentity {
  // Of what is open: the path may lead to another directory by now.
  if (!marks) return { id: inodeOf(handles), isNew: false };
  const known = own.read('id')?.trim();
  if (known !== undefined && /^[0-9a-f]{32}$/.test(known)) return { id: known, isNew: false };
  return mayWrite ? { id: crypto().randomBytes(16).toString('hex'), isNew: true } : { id: '', isNew: false };
}

export function keepIdentity(own: OwnDirectory, identity: RootIdentity): void {
  if (identity.isNew) own.write(`${identity.id}\n`, 'id');
  identity.isNew = false;
}
