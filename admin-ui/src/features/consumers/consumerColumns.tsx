import { Badge, Text } from '@mantine/core';
import type { Consumer } from '@/api/consumers';
import { columnsOf } from '@/components/DataTable';
import { nameColumn, stateColumn, updatedColumn } from '@/components/resourceColumns';
import { count } from '@/format/number';

const column = columnsOf<Consumer>();

export const consumerColumns = column.columns([
  nameColumn<Consumer>(),
  column.display({ id: 'display', header: 'For people', cell: ({ row: { original: { spec } } }) => <Text size="sm">{spec.display_name}</Text> }),
  column.display({ id: 'plan', header: 'Plan', cell: ({ row: { original: { spec } } }) => spec.plan ?? 'none' }),
  column.display({
    id: 'access',
    header: 'Access',
    cell: ({ row: { original: { spec } } }) => (spec.disabled === true ? <Badge color="red">disabled</Badge> : 'by its keys'),
  }),
  stateColumn<Consumer>(),
  column.display({ id: 'sequence', header: 'Sequence', cell: ({ row: { original: consumer } }) => count(consumer.sequence) }),
  updatedColumn<Consumer>(),
]);
