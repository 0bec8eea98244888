import { expect, test } from 'vitest';
import { strategyLabel } from './strategies';

test.each([
  [{ steps: [] }, 'careful'],
  [{ steps: [], sticky: { header: 'x-tenant' } }, 'careful (sticky by header x-tenant)'],
  [{ steps: [], sticky: { cookie: 'arm' } }, 'careful (sticky by cookie arm)'],
  [{ steps: [], sticky: { consumer: true } }, 'careful (sticky by consumer)'],
])('a strategy says for what its coin is thrown: %o', (spec, label) => {
  expect(strategyLabel({ name: 'careful', spec })).toBe(label);
});
