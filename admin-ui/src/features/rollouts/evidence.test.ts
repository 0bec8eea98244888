import { expect, test } from 'vitest';
import { metricWords, nearness, sortEvidence } from './evidence';

test.each([
  { evidence: 0, threshold: 8000, near: 0 },
  { evidence: 0.3, threshold: 8000, near: 0 },
  { evidence: 1, threshold: 8000, near: 0 },
  { evidence: Math.sqrt(8000), threshold: 8000, near: 0.5 },
  { evidence: 8000, threshold: 8000, near: 1 },
  { evidence: 1e300, threshold: 8000, near: 1 },
  { evidence: 5, threshold: 0, near: 0 },
])('evidence $evidence of $threshold is $near of the way', ({ evidence, threshold, near }) => {
  expect(nearness(evidence, threshold)).toBeCloseTo(near, 9);
});

test('what failed comes first, then what is nearest to failing, then totals before routes', () => {
  const sorted = sortEvidence([
    { metric: 'upstream_5xx', route: 'orders', verdict: 'inconclusive', evidence: 2, threshold: 100 },
    { metric: 'upstream_5xx', verdict: 'inconclusive', evidence: 2, threshold: 100 },
    { metric: 'gateway.no_route', verdict: 'pass', evidence: 50, threshold: 100 },
    { metric: 'gateway.key_missing', verdict: 'inconclusive', evidence: 50, threshold: 100 },
    { metric: 'gateway.rate_limited', verdict: 'fail', evidence: 120, threshold: 100 },
  ]);
  expect(sorted.map((each) => `${each.metric} ${each.route ?? ''}`.trim())).toEqual([
    'gateway.rate_limited',
    'gateway.key_missing',
    'upstream_5xx',
    'upstream_5xx orders',
    'gateway.no_route',
  ]);
});

test.each([
  ['upstream_5xx', '5xx from the upstream'],
  ['slower.p95', "slower than stable's p95"],
  ['gateway.key_missing', 'key missing (by the gateway)'],
  ['something_new', 'something_new'],
])('%s is %s', (metric, words) => {
  expect(metricWords(metric)).toBe(words);
});
