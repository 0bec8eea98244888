import { Code, Text } from '@mantine/core';
import type { Service } from '@/api/services';
import { columnsOf } from '@/components/DataTable';
import { nameColumn, revisionColumn, stateColumn, updatedColumn } from '@/components/resourceColumns';

const column = columnsOf<Service>();

export const serviceColumns = column.columns([
  nameColumn<Service>(),
  column.display({
    id: 'targets',
    header: 'Goes to',
    cell: ({ row: { original: { spec } } }) => targets(spec).map((target) => <Code key={target} display="block" w="fit-content" mb={2}>{target}</Code>),
  }),
  column.display({ id: 'protocol', header: 'Protocol', cell: ({ row: { original: { spec } } }) => spec.protocol ?? 'by URL' }),
  column.display({ id: 'host', header: 'Host it sees', cell: ({ row: { original: { spec } } }) => <Text size="sm">{spec.host ?? 'client'}’s</Text> }),
  stateColumn<Service>(),
  revisionColumn<Service>(),
  updatedColumn<Service>(),
]);

function targets(spec: Service['spec']): string[] {
  if (spec.url !== undefined && spec.url !== '') return [spec.url];
  return (spec.targets ?? []).map((target) => ((target.weight ?? 0) > 1 ? `${target.url} × ${target.weight}` : target.url));
}
