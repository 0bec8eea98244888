import { expect, test } from 'vitest';
import { conditionsOf } from './conditions';

test('a route that asks for nothing more says nothing more', () => {
  expect(conditionsOf({ paths: ['/orders'], methods: ['GET'] })).toEqual([]);
});

test('hosts, headers and query parameters are told in words', () => {
  const headers = [{ name: 'x-tier', equals: 'gold' }, { name: 'x-debug', absent: true }, { name: 'x-id', present: true }];
  const query = [{ name: 'version', prefix: 'v2' }, { name: 'page', regex: '[0-9]+' }, { name: 'empty', equals: '' }];
  expect(conditionsOf({ hosts: ['shop.example', '*.example'], headers, query })).toEqual([
    'on shop.example, *.example',
    'header x-tier = gold',
    'header x-debug is absent',
    'header x-id is there',
    'query version begins with v2',
    'query page matches [0-9]+',
    'query empty = ',
  ]);
});
