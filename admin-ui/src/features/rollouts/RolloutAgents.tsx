import { Text } from '@mantine/core';
import type { Rollout, RolloutAgent } from '@/api/rollouts';
import { columnsOf, DataTable } from '@/components/DataTable';
import { Empty } from '@/components/Notice';
import { Section } from '@/components/Section';
import { StateBadge } from '@/components/StateBadge';
import { plural } from '@/format/number';

const column = columnsOf<RolloutAgent>();

const columns = column.columns([
  column.display({
    id: 'agent',
    header: 'Agent',
    cell: ({ row: { original: agent } }) => (
      <Text size="sm" fw={560}>
        {agent.agent}
      </Text>
    ),
  }),
  column.display({
    id: 'arm',
    header: 'Part',
    cell: ({ row: { original: agent } }) => (agent.candidate === true ? 'candidate and control' : 'stable only'),
  }),
  column.display({ id: 'state', header: 'State', cell: ({ row: { original: agent } }) => <StateBadge state={agent.state} /> }),
  column.display({
    id: 'error',
    header: 'Error',
    cell: ({ row: { original: agent } }) => (
      <Text size="xs" c="red" style={{ overflowWrap: 'anywhere' }}>
        {agent.error}
      </Text>
    ),
  }),
]);

/** The agents and their part in the rollout. */
export function RolloutAgents({ rollout }: { rollout: Rollout }) {
  const agents = rollout.agents ?? [];
  return (
    <Section title="Agents" note={agents.length > 0 ? plural(agents.length, 'agent') : undefined} flush>
      <DataTable label="Agents of the rollout" columns={columns} data={agents} rowKey={(agent) => agent.agent ?? ''} empty={<NoAgents />} />
    </Section>
  );
}

function NoAgents() {
  return <Empty title="No agent takes part">With no agent connected a publish completes at once; agents that join later get it.</Empty>;
}
