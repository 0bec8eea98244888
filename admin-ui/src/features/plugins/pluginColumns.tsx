import { Code, Text } from '@mantine/core';
import type { Plugin } from '@/api/plugins';
import { columnsOf } from '@/components/DataTable';
import { nameColumn, revisionColumn, stateColumn, updatedColumn } from '@/components/resourceColumns';

const column = columnsOf<Plugin>();

export const pluginColumns = column.columns([
  nameColumn<Plugin>(),
  column.display({ id: 'type', header: 'Type', cell: ({ row: { original: { spec } } }) => spec.type }),
  column.display({ id: 'scope', header: 'Applies to', cell: ({ row: { original: { spec } } }) => scope(spec.scope) }),
  column.display({ id: 'mode', header: 'Mode', cell: ({ row: { original: { spec } } }) => spec.mode ?? 'enforce' }),
  column.display({
    id: 'config',
    header: 'Settings',
    cell: ({ row: { original: { spec } } }) => <Settings config={spec.config} />,
  }),
  stateColumn<Plugin>(),
  revisionColumn<Plugin>(),
  updatedColumn<Plugin>(),
]);

function scope(bound: Plugin['spec']['scope']): string {
  const parts = Object.entries(bound ?? {}).map(([kind, name]) => `${kind} ${name}`);
  return parts.length === 0 ? 'the whole fleet' : parts.join(', ');
}

function Settings({ config }: { config: unknown }) {
  if (config === undefined) return <Text size="sm">defaults</Text>;
  return <Code style={{ overflowWrap: 'anywhere' }}>{JSON.stringify(config)}</Code>;
}
