import { Code, Group, Text } from '@mantine/core';
import { IconArrowRight } from '@tabler/icons-react';
import type { Agent } from '@/api/agents';
import { columnsOf } from '@/components/DataTable';
import { Moment } from '@/components/Moment';
import { StateBadge } from '@/components/StateBadge';
import { count, percent } from '@/format/number';

const column = columnsOf<Agent>();

/** What the fleet page says of an agent. */
export const agentColumns = column.columns([
  column.accessor((agent) => agent.name ?? '', {
    id: 'name',
    header: 'Agent',
    cell: ({ row: { original: agent } }) => (
      <>
        <Text size="sm" fw={560}>
          {agent.name}
        </Text>
        <Text size="xs" c="dimmed">
          {agent.version}
        </Text>
      </>
    ),
  }),
  column.accessor((agent) => agent.state ?? '', {
    id: 'state',
    header: 'State',
    cell: ({ row: { original: agent } }) => <StateBadge state={agent.state} />,
  }),
  column.accessor((agent) => agent.applied_stable_revision ?? 0, {
    id: 'stable',
    header: 'Stable',
    cell: ({ row: { original: agent } }) => <Revisions applied={agent.applied_stable_revision} desired={agent.desired_stable_revision} />,
  }),
  column.accessor((agent) => agent.applied_candidate_revision ?? 0, {
    id: 'candidate',
    header: 'Candidate',
    cell: ({ row: { original: agent } }) => <Revisions applied={agent.applied_candidate_revision} desired={agent.desired_candidate_revision} />,
  }),
  column.accessor((agent) => agent.candidate_percent ?? 0, {
    id: 'share',
    header: 'Its share',
    cell: ({ getValue }) => (getValue() > 0 ? percent(getValue()) : '–'),
  }),
  column.accessor((agent) => agent.lane_sequence ?? 0, {
    id: 'lane',
    header: 'Fast lane',
    cell: ({ getValue }) => count(getValue()),
  }),
  column.accessor((agent) => agent.last_seen_time ?? '', {
    id: 'seen',
    header: 'Last seen',
    cell: ({ row: { original: agent } }) => <Moment time={agent.last_seen_time} />,
  }),
  column.accessor((agent) => agent.listeners?.join() ?? '', {
    id: 'listeners',
    header: 'Listens on',
    enableSorting: false,
    cell: ({ row: { original: agent } }) => agent.listeners?.map((listener) => <Code key={listener} mr={4}>{listener}</Code>),
  }),
  column.accessor((agent) => agent.error ?? '', {
    id: 'error',
    header: 'Error',
    cell: ({ getValue }) => (
      <Text size="sm" c="red" maw="22rem" style={{ overflowWrap: 'anywhere' }}>
        {getValue()}
      </Text>
    ),
  }),
]);

/** What it serves, and what it is on the way to. */
function Revisions({ applied = 0, desired = 0 }: { applied: number | undefined; desired: number | undefined }) {
  if (applied === 0 && desired === 0) return <>–</>;
  if (applied === desired) return <>{count(applied)}</>;
  return (
    <Group gap={4} wrap="nowrap" c="yellow.8">
      {applied === 0 ? 'none' : count(applied)}
      <IconArrowRight size={12} aria-label="on the way to" />
      {desired === 0 ? 'none' : count(desired)}
    </Group>
  );
}
