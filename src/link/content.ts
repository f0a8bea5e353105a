/** Bringing content from one replica to the other while a batch is being applied. */
import type { ReadRequest } from '../replica/content-stream.ts';
import type { ApplyBatch, ApplyStep, Control, Replica, StepResult } from '../replica/replica.ts';
import { wantedContent, type WantedContent } from '../replica/wanted-content.ts';
import { minBlockSumsSize } from '../delta/block-sums.ts';
import { minDeltaSize } from '../delta/sizes.ts';
import { resumableSize } from '../replica/content-stream.ts';

export interface ContentRoute {
  to: Replica;
  from: Replica;
  /** Where the files of `from` are on this machine, if `to` is on it as well: then nothing goes through here. */
  hostPath: string | undefined;
}

/** Applies a batch with what content it needs. @returns as `Replica.apply` */
export async function applyWithContent(
  batch: Omit<ApplyBatch, 'content'>,
  route: ContentRoute,
  control: Control,
): Promise<StepResult[]> {
  const { to, hostPath } = route;
  if (hostPath !== undefined) return to.apply({ ...batch, content: { via: 'host', hostPath } }, control);
  const wanted = [...wantedContent(batch.steps)];
  if (wanted.length === 0) return to.apply({ ...batch, content: undefined }, control);
  const results = await stream(batch, await withSignatures(wanted, route, control), route, control);
  await again(batch, results, route, control);
  return results;
}

async function stream(
  batch: Omit<ApplyBatch, 'content'>,
  requests: readonly ReadRequest[],
  { to, from }: ContentRoute,
  control: Control,
): Promise<StepResult[]> {
  const content = from.read(requests, control);
  try {
    return await to.apply({ ...batch, content: { via: 'stream' } }, control, content);
  } finally {
    // Not waited for: a source that hangs must not keep what is done from being recorded.
    content.return().catch(() => undefined);
  }
}

/** Steps whose delta did not fit get their content whole: what the signature was taken of had changed, or lied. */
async function again(
  batch: Omit<ApplyBatch, 'content'>,
  results: StepResult[],
  route: ContentRoute,
  control: Control,
): Promise<void> {
  const failed = results.flatMap(({ wantsWhole }, index) => (wantsWhole === true ? [index] : []));
  if (failed.length === 0) return;
  const steps = failed.flatMap((index): ApplyStep[] => batch.steps.slice(index, index + 1));
  const requests = [...wantedContent(steps)].map(whole);
  for (const [place, result] of (await stream({ ...batch, steps }, requests, route, control)).entries()) {
    const index = failed[place];
    if (index !== undefined) results[index] = { ...result, step: index };
  }
}

/** For large files of which the other side has a version, what it has: only the difference is sent. */
async function withSignatures(
  wanted: readonly WantedContent[],
  { to, from }: ContentRoute,
  control: Control,
): Promise<readonly ReadRequest[]> {
  const requests = wanted.map(whole);
  if (from.findsSameBy === 'nothing') return requests;
  const blocks = from.findsSameBy === 'blocks';
  const minSize = blocks ? minBlockSumsSize : minDeltaSize;
  const large = wanted.flatMap(({ to: path, source, base }, index) => {
    const hasBase = Math.min(source.size, base?.entry.size ?? 0) >= minSize;
    if (!hasBase && source.size < resumableSize) return [];
    const elsewhere = base === undefined || base.path === path ? {} : { at: base.path };
    return [{ index, request: { path, expect: base?.entry, ...elsewhere, ...(blocks ? { blocks } : {}) } }];
  });
  if (large.length === 0) return requests;
  const signatures = await to.signatures(
    large.map(({ request }) => request),
    control,
  );
  for (const [place, signature] of signatures.entries()) {
    const request = requests[large[place]?.index ?? -1];
    if (signature !== undefined && request !== undefined) request.signature = signature;
  }
  return requests;
}

function whole({ from, source }: WantedContent): ReadRequest {
  return { path: from, expect: source };
}
