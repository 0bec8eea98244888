import { Code, Select, Stack } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { rolloutsQuery } from '@/api/rollouts';
import { DataTable, LoadingTable } from '@/components/DataTable';
import { MoreButton } from '@/components/MoreButton';
import { Empty, Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { Section } from '@/components/Section';
import { stateWords } from '@/components/StateBadge';
import { rolloutColumns, type RolloutRow } from './rolloutColumns';
import { type RolloutState, rolloutStates } from './states';

interface RolloutsPageProps {
  fleet: string;
  /** Only those in this state; undefined for all. */
  state: RolloutState | undefined;
  onStateChange: (state: RolloutState | undefined) => void;
}

const choices = [{ value: '', label: 'All states' }, ...rolloutStates.map((state) => ({ value: state, label: stateWords(state) }))];

/** The rollouts of a fleet, the newest first. */
export function RolloutsPage({ fleet, state, onStateChange }: RolloutsPageProps) {
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(rolloutsQuery(fleet, state ?? ''));
  const rows: RolloutRow[] = data?.pages.flatMap((page) => page.rollouts ?? []).map((rollout) => ({ fleet, rollout })) ?? [];
  const choose = (chosen: string | null) => onStateChange(rolloutStates.find((known) => known === chosen));
  const filter = <Select size="xs" aria-label="State" data={choices} value={state ?? ''} allowDeselect={false} onChange={choose} />;
  return (
    <Page title="Rollouts" lead="Each revision's way to traffic, step by step." actions={filter}>
      <Stack gap="xs">
        {error && <Failure error={error} doing="Loading rollouts" retry={() => void refetch()} />}
        <Section title="All rollouts" note="the newest first" flush>
          {data ? (
            <DataTable label="Rollouts" columns={rolloutColumns} data={rows} rowKey={(row) => row.rollout.id ?? ''} empty={<NoRollouts filtered={state !== undefined} />} />
          ) : (
            !error && <LoadingTable />
          )}
          <MoreButton shown={hasNextPage} loading={isFetchingNextPage} onClick={() => void fetchNextPage()} />
        </Section>
      </Stack>
    </Page>
  );
}

function NoRollouts({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No rollout is in this state">Choose another state above, or all of them.</Empty>;
  return (
    <Empty title="Nothing was published yet">
      Publish a change with <Code>tidegate apply -f FILE</Code>; its rollout appears here at once.
    </Empty>
  );
}
