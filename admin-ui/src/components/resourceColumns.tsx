import { Group, Text } from '@mantine/core';
import { count } from '@/format/number';
import { columnsOf } from './DataTable';
import { Moment } from './Moment';
import { StateBadge } from './StateBadge';

/** What every resource has around its spec. */
interface Named {
  name?: string;
  labels?: Record<string, string>;
  state?: string;
  update_time?: string;
}

export function nameColumn<T extends Named>() {
  return columnsOf<T>().display({
    id: 'name',
    header: 'Name',
    cell: ({ row: { original } }) => (
      <>
        <Text size="sm" fw={560}>
          {original.name}
        </Text>
        <Labels labels={original.labels ?? {}} />
      </>
    ),
  });
}

export function stateColumn<T extends Named>() {
  return columnsOf<T>().display({ id: 'state', header: 'State', cell: ({ row: { original } }) => <StateBadge state={original.state} /> });
}

export function revisionColumn<T extends Named & { revision?: number }>() {
  return columnsOf<T>().display({ id: 'revision', header: 'Revision', cell: ({ row: { original } }) => count(original.revision) });
}

export function updatedColumn<T extends Named>() {
  return columnsOf<T>().display({ id: 'updated', header: 'Changed', cell: ({ row: { original } }) => <Moment time={original.update_time} /> });
}

function Labels({ labels }: { labels: Record<string, string> }) {
  return (
    <Group gap={6}>
      {Object.entries(labels).map(([key, value]) => (
        <Text key={key} size="xs" c="dimmed">
          {key}={value}
        </Text>
      ))}
    </Group>
  );
}
