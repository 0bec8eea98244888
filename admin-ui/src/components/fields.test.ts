import { expect, test } from 'vitest';
import { fieldsOf } from './fields';

const route = { name: 'orders', labels: { team: 'checkout' }, route: { service: 'orders', match: { paths: ['/a', '/b'] } } };

test('a resource that is made shows all it says', () => {
  expect(fieldsOf({ action: 'create', after: route })).toEqual([
    { path: 'labels.team', before: '', after: '"checkout"' },
    { path: 'spec.service', before: '', after: '"orders"' },
    { path: 'spec.match.paths[0]', before: '', after: '"/a"' },
    { path: 'spec.match.paths[1]', before: '', after: '"/b"' },
  ]);
});

test('one that is deleted shows what it said', () => {
  expect(fieldsOf({ action: 'delete', before: { name: 'empty', service: {} } })).toEqual([{ path: 'spec', before: '{}', after: '' }]);
});

test('one that changes shows what differs', () => {
  const fields = [{ path: 'spec.priority', before: '1', after: '2' }];
  expect(fieldsOf({ action: 'update', before: route, after: route, fields })).toEqual(fields);
});
