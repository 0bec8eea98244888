import { expect, test } from 'vitest';
import { approvalWords, hostOf, newerWords, windowWords } from './policy';

test.each([
  { policy: {}, words: 'none' },
  { policy: { approvals: { low: 0 } }, words: 'none' },
  { policy: { approvals: { medium: 1, high: 2 } }, words: '1 for medium risk, 2 for high risk' },
])('approvals: $words', ({ policy, words }) => {
  expect(approvalWords(policy)).toBe(words);
});

test('a window every week says its days and its zone', () => {
  expect(windowWords({ days: ['fri', 'sat'], from: '18:00', to: '08:00', time_zone: 'Europe/Berlin' })).toBe('fri, sat 18:00–08:00 Europe/Berlin');
  expect(windowWords({ from: '22:00', to: '06:00' })).toBe('every day 22:00–06:00 UTC');
});

test('a window that is once says when it begins and ends', () => {
  const words = windowWords({ start: '2026-12-23T18:00:00Z', end: '2027-01-02T08:00:00Z' });
  expect(words).toMatch(/23 Dec 2026.* to .*2 Jan 2027/);
});

test.each([
  { url: 'https://hooks.example.com/T0/B0/secret', host: 'hooks.example.com' },
  { url: 'https://hooks.example.com:8443/…', host: 'hooks.example.com:8443' },
  { url: 'not a url', host: '' },
])('of $url only the host is shown', ({ url, host }) => {
  expect(hostOf(url)).toBe(host);
});

test('a newer revision waits unless the fleet says otherwise', () => {
  expect(newerWords({})).toBe('waits for its end');
  expect(newerWords({ newer_revision: 'supersede' })).toBe('ends it, and carries its changes');
});
