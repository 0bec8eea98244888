import { expect, test } from 'vitest';
import { backendsOf } from './backends';

const match = { paths: ['/orders'] };

test.each([
  { name: 'one service', spec: { service: 'orders', match }, words: ['orders'] },
  {
    name: 'several by weight',
    spec: { backends: [{ service: 'orders', weight: 19 }, { service: 'orders-next', weight: 1 }], match },
    words: ['orders 95 %', 'orders-next 5 %'],
  },
  {
    name: 'one that gets only what asks for it',
    spec: { backends: [{ service: 'orders', weight: 1 }, { service: 'orders-next' }], match },
    words: ['orders 100 %', 'orders-next 0 %'],
  },
])('$name', ({ spec, words }) => {
  expect(backendsOf(spec)).toEqual(words);
});
