import { expect, test } from 'vitest';
import { decisionWords, expectFlag, shadowWords } from './shadow';

test.each([
  { expectation: { route: 'orders', reason: 'key_missing', max_percent: 5 }, flag: '--expect orders:key_missing:5' },
  { expectation: { route: 'orders', reason: 'rate_limited', max_percent: 0.5 }, flag: '--expect orders:rate_limited:0.5' },
  { expectation: { route: 'orders', reason: 'forbidden' }, flag: '--expect orders:forbidden:0' },
])('the command line takes $flag', ({ expectation, flag }) => {
  expect(expectFlag(expectation)).toBe(flag);
});

test.each([
  { decision: 'key_missing', route: 'orders', words: 'key missing on route orders' },
  { decision: 'service my_orders', route: 'orders', words: 'service my_orders on route orders' },
  { decision: 'no_route', route: undefined, words: 'no route' },
])('$decision is told as $words', ({ decision, route, words }) => {
  expect(decisionWords(decision, route)).toBe(words);
});

test('counts may pass 2⁵³ and come as strings', () => {
  expect(shadowWords({ sampled: '10000', different: '37' })).toBe('37 of 10,000 sampled requests would be decided otherwise');
  expect(shadowWords({ sampled: '12' })).toBe('0 of 12 sampled requests would be decided otherwise');
});
