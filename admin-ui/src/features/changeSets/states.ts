import type { ChangeSet } from '@/api/changeSets';
import type { Diff } from '@/api/revisions';
import { firstLine } from '@/format/text';

/** Those that nobody can edit any more. */
export const closedStates = ['published', 'abandoned'] as const;

export type ClosedState = (typeof closedStates)[number];

/** What a change set is called: the first line of its message. */
export function titleOf({ message }: ChangeSet): string {
  return firstLine(message) || 'Change set without a message';
}

/** How a person stands to a draft: whoever edited it cannot approve it, and once is enough. */
export type Reviewer = 'editor' | 'approver' | 'other';

export function reviewerOf({ editors = [], approvals = [] }: ChangeSet, subject: string | undefined): Reviewer {
  if (subject === undefined) return 'other';
  if (editors.includes(subject)) return 'editor';
  return approvals.some((approval) => approval.approver === subject) ? 'approver' : 'other';
}

/** How many approvals are still missing. */
export function approvalsMissing({ approvals = [], approvals_required = 0 }: ChangeSet): number {
  return Math.max(0, approvals_required - approvals.length);
}

/** Whether it deletes any routes; a fleet's policy bounds how many may go unsaid. */
export function deletesRoutes({ changes = [] }: Diff): boolean {
  return changes.some((change) => change.action === 'delete' && change.kind === 'routes');
}
