import type { ChangeSet } from '@/api/changeSets';

/** Those that nobody can edit any more. */
export const closedStates = ['published', 'abandoned'] as const;

export type ClosedState = (typeof closedStates)[number];

/** The first line of what a change set is for. */
export function titleOf({ message = '' }: ChangeSet): string {
  const [first = ''] = message.trim().split('\n');
  return first === '' ? 'Change set without a message' : first;
}

/** What its message says below the first line. */
export function bodyOf({ message = '' }: ChangeSet): string {
  return message.trim().split('\n').slice(1).join('\n').trim();
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
