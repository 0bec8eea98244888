import { expect, test } from 'vitest';
import { approvalsMissing, bodyOf, reviewerOf, titleOf } from './states';

test.each([
  { message: 'Orders need a key\n\nAsked for by the orders team.\n', title: 'Orders need a key', body: 'Asked for by the orders team.' },
  { message: 'Orders need a key', title: 'Orders need a key', body: '' },
  { message: '  ', title: 'Change set without a message', body: '' },
  { message: undefined, title: 'Change set without a message', body: '' },
])('the message $message has a title', ({ message, title, body }) => {
  expect(titleOf({ message })).toBe(title);
  expect(bodyOf({ message })).toBe(body);
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
