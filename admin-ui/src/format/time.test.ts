import { expect, test } from 'vitest';
import { ago, duration, parseDuration } from './time';

const now = Date.parse('2026-11-23T12:00:00Z');

test.each([
  ['2026-11-23T11:59:59Z', 'just now'],
  ['2026-11-23T11:59:48Z', '12 s ago'],
  ['2026-11-23T11:57:00Z', '3 min ago'],
  ['2026-11-23T09:00:00Z', '3 h ago'],
  ['2026-11-20T12:00:00Z', '3 d ago'],
  ['2026-11-23T12:05:00Z', 'in 5 min'],
  [undefined, '–'],
  ['not a time', '–'],
])('%s is %s', (time, words) => {
  expect(ago(time, now)).toBe(words);
});

test.each([
  [0, '0 s'],
  [-5_000, '0 s'],
  [59_999, '59 s'],
  [65_000, '1 min 5 s'],
  [3_600_000, '1 h'],
  [90_000_000, '1 d 1 h'],
])('%d ms is %s', (length, words) => {
  expect(duration(length)).toBe(words);
});

test.each([
  ['15s', 15_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['1.5s', 1_500],
  ['0s', 0],
  ['', 0],
  [undefined, 0],
])('%s is %d ms', (text, length) => {
  expect(parseDuration(text)).toBe(length);
});
