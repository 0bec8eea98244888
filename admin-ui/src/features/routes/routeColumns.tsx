import { Badge, Code, Group, Text } from '@mantine/core';
import type { Route } from '@/api/routes';
import { columnsOf } from '@/components/DataTable';
import { nameColumn, revisionColumn, stateColumn, updatedColumn } from '@/components/resourceColumns';
import { plural } from '@/format/number';
import { backendsOf } from './backends';
import { conditionsOf } from './conditions';

/** More paths than this are counted, not listed. */
const MOST_PATHS = 4;

const column = columnsOf<Route>();

export const routeColumns = column.columns([
  nameColumn<Route>(),
  column.display({
    id: 'methods',
    header: 'Methods',
    cell: ({ row: { original: { spec } } }) => <Methods methods={spec.match.methods ?? []} />,
  }),
  column.display({
    id: 'paths',
    header: 'Paths',
    cell: ({ row: { original: { spec } } }) => <Paths paths={spec.match.paths ?? []} conditions={conditionsOf(spec.match)} />,
  }),
  column.display({ id: 'service', header: 'Service', cell: ({ row: { original: { spec } } }) => backendsOf(spec).map((backend) => <div key={backend}>{backend}</div>) }),
  column.display({ id: 'priority', header: 'Priority', cell: ({ row: { original: { spec } } }) => spec.priority ?? 0 }),
  stateColumn<Route>(),
  revisionColumn<Route>(),
  updatedColumn<Route>(),
]);

function Methods({ methods }: { methods: string[] }) {
  if (methods.length === 0) return <>any</>;
  return (
    <Group gap={4}>
      {methods.map((method) => (
        <Badge key={method} color="gray" size="xs">
          {method}
        </Badge>
      ))}
    </Group>
  );
}

function Paths({ paths, conditions }: { paths: string[]; conditions: string[] }) {
  const rest = paths.length - MOST_PATHS;
  return (
    <>
      {paths.slice(0, MOST_PATHS).map((path) => (
        <Code key={path} display="block" w="fit-content" mb={2}>
          {path}
        </Code>
      ))}
      {rest > 0 && (
        <Text size="xs" c="dimmed">
          and {plural(rest, 'more', 'more')}
        </Text>
      )}
      {conditions.map((condition) => (
        <Text key={condition} size="xs" c="dimmed">
          {condition}
        </Text>
      ))}
    </>
  );
}
