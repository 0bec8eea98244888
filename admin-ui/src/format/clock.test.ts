import { expect, test } from 'vitest';
import { ServerClock } from './clock';

const noon = Date.parse('2026-11-23T12:00:00Z');

test.each([
  { name: 'a clock that agrees', header: 'Mon, 23 Nov 2026 12:00:00 GMT', local: noon + 900, offset: 0 },
  { name: 'one that is three minutes behind', header: 'Mon, 23 Nov 2026 12:00:00 GMT', local: noon - 180_000, offset: 180_000 },
  { name: 'one that is ahead', header: 'Mon, 23 Nov 2026 12:00:00 GMT', local: noon + 60_000, offset: -60_000 },
  { name: 'an answer without a date', header: null, local: noon - 180_000, offset: 0 },
  { name: 'a date that cannot be read', header: 'yesterday', local: noon - 180_000, offset: 0 },
])('$name', ({ header, local, offset }) => {
  const clock = new ServerClock();
  clock.observe(header, local);
  expect(clock.at(local) - local).toBe(offset);
});

test('what the whole seconds of the header add does not make times jump', () => {
  const clock = new ServerClock();
  clock.observe('Mon, 23 Nov 2026 12:00:00 GMT', noon - 180_000);
  clock.observe('Mon, 23 Nov 2026 12:00:01 GMT', noon - 178_100);
  expect(clock.at(0)).toBe(180_000);
});
