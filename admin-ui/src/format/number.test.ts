import { expect, test } from 'vitest';
import { count, magnitude, percent, plural, share } from './number';

test.each([
  [count(1234567), '1,234,567'],
  [count('9007199254740993'), '9,007,199,254,740,992'],
  [count(undefined), '0'],
  [share(0.00123), '0.123 %'],
  [share(1), '100 %'],
  [percent(33.3333), '33.3 %'],
  [plural(1, 'agent'), '1 agent'],
  [plural(0, 'agent'), '0 agents'],
  [magnitude(0.0123), '0.0123'],
  [magnitude(0.00006), 'under 0.01'],
  [magnitude(8000), '8,000'],
  [magnitude(3.2e14), '3.2 × 10¹⁴'],
  [magnitude(Number.MAX_VALUE), '1.8 × 10³⁰⁸'],
])('%s', (shown, expected) => {
  expect(shown).toBe(expected);
});
