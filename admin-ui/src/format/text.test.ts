import { expect, test } from 'vitest';
import { afterFirstLine, firstLine } from './text';

test.each([
  { text: 'Orders need a key\n\nAsked for by the orders team.\n', first: 'Orders need a key', rest: 'Asked for by the orders team.' },
  { text: 'Orders need a key', first: 'Orders need a key', rest: '' },
  { text: '\n  one\r\ntwo', first: 'one', rest: 'two' },
  { text: '  ', first: '', rest: '' },
  { text: undefined, first: '', rest: '' },
])('$text has a first line', ({ text, first, rest }) => {
  expect(firstLine(text)).toBe(first);
  expect(afterFirstLine(text)).toBe(rest);
});
