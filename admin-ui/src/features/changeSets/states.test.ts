import { expect, test } from 'vitest';
import { approvalsMissing, deletesRoutes, reviewerOf, titleOf } from './states';

test('a change set is called by the first line of its message', () => {
  expect(titleOf({ message: 'Orders need a key\n\nAsked for by the orders team.' })).toBe('Orders need a key');
  expect(titleOf({ message: ' ' })).toBe('Change set without a message');
  expect(titleOf({})).toBe('Change set without a message');
});

test.each([
  { subject: 'ada', reviewer: 'editor' },
  { subject: 'grace', reviewer: 'approver' },
  { subject: 'pat', reviewer: 'other' },
  { subject: undefined, reviewer: 'other' },
])('$subject is $reviewer', ({ subject, reviewer }) => {
  expect(reviewerOf({ editors: ['ada'], approvals: [{ approver: 'grace' }] }, subject)).toBe(reviewer);
});

test.each([
  { required: undefined, given: 0, missing: 0 },
  { required: 2, given: 0, missing: 2 },
  { required: 2, given: 1, missing: 1 },
  { required: 1, given: 2, missing: 0 },
])('of $required approvals with $given given $missing are missing', ({ required, given, missing }) => {
  const approvals = Array.from({ length: given }, (_, index) => ({ approver: `reviewer-${index}` }));
  expect(approvalsMissing({ approvals_required: required, approvals })).toBe(missing);
});

test('deleting routes is told from deleting other things', () => {
  expect(deletesRoutes({ changes: [{ action: 'delete', kind: 'plugins' }, { action: 'update', kind: 'routes' }] })).toBe(false);
  expect(deletesRoutes({ changes: [{ action: 'delete', kind: 'routes' }] })).toBe(true);
  expect(deletesRoutes({})).toBe(false);
});
