import { type ChangeSet, changeSetDiffQuery, changeSetReviewQuery } from '@/api/changeSets';

/** A draft and the head as they are: when one of the two changes, what was said of them is old. */
function versionOf({ etag = '' }: ChangeSet, head: number): string {
  return `${etag} on ${head}`;
}

export function draftDiffQuery(fleet: string, changeSet: ChangeSet, head: number) {
  return changeSetDiffQuery(fleet, changeSet.id ?? '', versionOf(changeSet, head));
}

export function draftReviewQuery(fleet: string, changeSet: ChangeSet, head: number) {
  return changeSetReviewQuery(fleet, changeSet.id ?? '', versionOf(changeSet, head));
}
