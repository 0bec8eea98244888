import { Code, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { agentsQuery, MOST_AGENTS } from '@/api/agents';
import { fleetQuery } from '@/api/fleets';
import { DataTable, LoadingTable } from '@/components/DataTable';
import { Empty, Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { Section } from '@/components/Section';
import { count } from '@/format/number';
import { agentColumns } from './agentColumns';
import { troubledFirst } from './trouble';
import { FleetFigures } from './FleetFigures';
import { PolicySection } from './PolicySection';

/** One fleet: what it serves, and each of its agents, live. */
export function FleetPage({ fleet }: { fleet: string }) {
  return (
    <Page title={`Fleet ${fleet}`} lead="What its agents should serve, what they serve, and how they are.">
      <Figures fleet={fleet} />
      <Agents fleet={fleet} />
      <Policy fleet={fleet} />
    </Page>
  );
}

function Figures({ fleet }: { fleet: string }) {
  const { data, error, refetch } = useQuery(fleetQuery(fleet));
  if (data) return <FleetFigures fleet={data} />;
  if (error) return <Failure error={error} doing="Loading the fleet" retry={() => void refetch()} />;
  return null;
}

/** Whatever keeps the fleet from being loaded is told above. */
function Policy({ fleet }: { fleet: string }) {
  const { data } = useQuery(fleetQuery(fleet));
  return data && <PolicySection policy={data.policy} />;
}

function Agents({ fleet }: { fleet: string }) {
  const { data, error, refetch } = useQuery(agentsQuery(fleet));
  const agents = useMemo(() => troubledFirst(data?.agents ?? []), [data?.agents]);
  return (
    <Stack gap="xs">
      {error && <Failure error={error} doing="Loading agents" retry={() => void refetch()} />}
      <Section title="Agents" note={note(error !== null, data?.more === true)} flush>
        {data ? (
          <DataTable label="Agents" sortable columns={agentColumns} data={agents} rowKey={(agent) => agent.id ?? ''} empty={<NoAgents />} />
        ) : (
          !error && <LoadingTable />
        )}
      </Section>
    </Stack>
  );
}

function note(stale: boolean, more: boolean): string {
  const age = stale ? 'as they were last seen' : 'live';
  return more ? `${age}, the first ${count(MOST_AGENTS)}` : age;
}

function NoAgents() {
  return (
    <Empty title="No agent has joined this fleet yet">
      Make a token with <Code>tidegate agent join-token</Code>, put it into a file, and start an agent with{' '}
      <Code>tidegate-agent --join-token-file FILE</Code>. It appears here within a second.
    </Empty>
  );
}
