import { expect, test } from 'vitest';
import { hasStatus, problemOf } from './problem';

test('a problem document is read whole', () => {
  const violation = { resource: 'routes/orders', field: 'spec.match', rule: 'required', message: 'is required' };
  const body = { type: 't', title: 'The change is not valid', status: 422, detail: 'one thing', request_id: 'R1', violations: [violation] };
  const problem = problemOf(body, new Response(null, { status: 422 }));
  expect(problem).toMatchObject({ message: 'The change is not valid', status: 422, detail: 'one thing', requestId: 'R1', violations: [violation] });
});

test('what a proxy in between answers still says what happened', () => {
  const problem = problemOf('<html>bad gateway</html>', new Response(null, { status: 502, headers: { 'x-request-id': 'R2' } }));
  expect(problem).toMatchObject({ message: 'The control plane answered 502', status: 502, requestId: 'R2' });
});

test('the status tells problems from other errors', () => {
  expect(hasStatus(problemOf(undefined, new Response(null, { status: 401 })), 401)).toBe(true);
  expect(hasStatus(new TypeError('failed to fetch'), 401)).toBe(false);
});
