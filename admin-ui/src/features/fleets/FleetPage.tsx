import { Code, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { agentsQuery, MOST_AGENTS } from '@/api/agents';
import { fleetQuery } from '@/api/fleets';
import { DataTable, LoadingTable } from '@/components/DataTable';
import { Empty, Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { Section } from '@/components/Section';
import { count } from '@/format/number';
import { agentColumns } from './agentColumns';
import { FleetFigures } from './FleetFigures';

/** One fleet: what it serves, and each of its agents, live. */
export function FleetPage({ fleet }: { fleet: string }) {
  return (
    <Page title={`Fleet ${fleet}`} lead="What its agents should serve, what they serve, and how they are.">
      <Figures fleet={fleet} />
      <Agents fleet={fleet} />
    </Page>
  );
}

function Figures({ fleet }: { fleet: string }) {
  const { data, error, refetch } = useQuery(fleetQuery(fleet));
  if (data) return <FleetFigures fleet={data} />;
  if (error) return <Failure error={error} doing="Loading the fleet" retry={() => void refetch()} />;
  return null;
}

function Agents({ fleet }: { fleet: string }) {
  const { data, error, refetch } = useQuery(agentsQuery(fleet));
  return (
    <Stack gap="xs">
      {error && <Failure error={error} doing="Loading agents" retry={() => void refetch()} />}
      <Section title="Agents" note={data?.more === true ? `live, the first ${count(MOST_AGENTS)}` : 'live'} flush>
        {data ? (
          <DataTable label="Agents" sortable columns={agentColumns} data={data.agents} rowKey={(agent) => agent.id ?? ''} empty={<NoAgents />} />
        ) : (
          !error && <LoadingTable />
        )}
      </Section>
    </Stack>
  );
}

function NoAgents() {
  return (
    <Empty title="No agent has joined this fleet yet">
      Make a token with <Code>tidegate agent join-token</Code>, put it into a file, and start an agent with{' '}
      <Code>tidegate-agent --join-token-file FILE</Code>. It appears here within a second.
    </Empty>
  );
}
