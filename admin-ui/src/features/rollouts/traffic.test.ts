import { expect, test } from 'vitest';
import type { TelemetrySeries } from '@/api/telemetry';
import { spanOf, stretchOf, trafficOf } from './traffic';

const start = Date.parse('2026-11-23T12:00:00Z');
const at = (seconds: number) => new Date(start + seconds * 1000).toISOString();

function series(arm: string, status_class: string, reason: string, ...requests: [number, number][]): TelemetrySeries {
  return { labels: { arm, status_class, reason }, points: requests.map(([seconds, count]) => ({ time: at(seconds), requests: String(count) })) };
}

test.each([
  { kind: '5xx' as const, stable: [0.1, 0], candidate: [0, 0] },
  { kind: 'gateway' as const, stable: [0, 0], candidate: [0.5, 0] },
])('requests become rates, and bad ones ($kind) become shares', ({ kind, stable, candidate }) => {
  const answer = [
    series('stable', '2', '', [0, 90], [5, 100]),
    series('stable', '5', '', [0, 10]),
    series('candidate', '2', '', [0, 5]),
    series('candidate', '4', 'key_missing', [0, 5]),
    series('candidate', '4', '', [5, 20]),
  ];
  const traffic = trafficOf(answer, 5, { begin: start, end: start + 60_000 }, kind);
  expect(traffic.times).toEqual([start / 1000, start / 1000 + 5]);
  expect(traffic.rate).toEqual({ stable: [20, 20], candidate: [2, 4] });
  expect(traffic.errors).toEqual({ stable, candidate });
});

test('a step without requests is a rate of 0, and no share at all', () => {
  const traffic = trafficOf([series('stable', '2', '', [0, 5], [10, 5])], 5, { begin: start, end: start + 60_000 }, '5xx');
  expect(traffic.rate.stable).toEqual([1, 0, 1]);
  expect(traffic.errors.stable).toEqual([0, null, 0]);
  expect(traffic.errors.candidate).toEqual([null, null, null]);
});

test('a bucket that still fills is not shown', () => {
  const traffic = trafficOf([series('stable', '2', '', [0, 5], [5, 1])], 5, { begin: start, end: start + 7_000 }, '5xx');
  expect(traffic.rate.stable).toEqual([1]);
});

test('nothing to draw is no lines', () => {
  expect(trafficOf([], 5, { begin: start, end: start + 60_000 }, '5xx').times).toEqual([]);
});

test.each([
  { name: 'one that just began', age: 20, span: { step: 5, window: 60 } },
  { name: 'one of ten minutes', age: 600, span: { step: 5, window: 600 } },
  { name: 'one of an hour ago', age: 3_600, span: { step: 30, window: 3_600 } },
  { name: 'one of two months ago', age: 5_184_000, span: { step: 43_200, window: 2_592_000 } },
])('$name is asked for in few enough buckets', ({ age, span }) => {
  expect(spanOf(start, start + age * 1000)).toEqual(span);
});

test('the question stays the same while a window fills', () => {
  const asked = new Set(Array.from({ length: 60 }, (_, second) => JSON.stringify(spanOf(start, start + (121 + second) * 1000))));
  expect(asked.size).toBeLessThanOrEqual(2);
});

test('one that ended is drawn with a margin, never beyond what is whole', () => {
  expect(stretchOf(start, start + 60_000, start + 600_000)).toEqual({ begin: start - 30_000, end: start + 90_000 });
  expect(stretchOf(start, start + 60_000, start + 61_000)).toEqual({ begin: start - 30_000, end: start + 59_000 });
});
