import { Code, Select, Stack } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { changeSetsQuery, type ChangeSetState } from '@/api/changeSets';
import { DataTable, LoadingTable } from '@/components/DataTable';
import { MoreButton } from '@/components/MoreButton';
import { Empty, Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { Section } from '@/components/Section';
import { stateWords } from '@/components/StateBadge';
import { changeSetColumns } from './changeSetColumns';
import { closedStates, type ClosedState } from './states';

interface ChangeSetsPageProps {
  fleet: string;
  /** Which of those that are no longer open are shown. */
  closed: ClosedState;
  onClosedChange: (closed: ClosedState) => void;
}

const choices = closedStates.map((state) => ({ value: state, label: stateWords(state) }));

/** The drafts of a fleet: the open ones first, then what became of others. */
export function ChangeSetsPage({ fleet, closed, onClosedChange }: ChangeSetsPageProps) {
  const choose = (chosen: string | null) => onClosedChange(closedStates.find((known) => known === chosen) ?? 'published');
  const choice = <Select size="xs" w={140} aria-label="No longer open" data={choices} value={closed} allowDeselect={false} onChange={choose} />;
  return (
    <Page title="Change sets" lead="Drafts that are looked at and approved, and then published whole.">
      <Stack gap="sm">
        <ChangeSets fleet={fleet} state="open" title="Open" note="the newest first" empty={<NoneOpen />} />
        <ChangeSets fleet={fleet} state={closed} title="No longer open" note={choice} empty={<Empty title={`None was ${closed}`}>Whatever becomes of a change set, it can still be read here.</Empty>} />
      </Stack>
    </Page>
  );
}

interface ChangeSetsProps {
  fleet: string;
  state: ChangeSetState;
  title: string;
  note: ReactNode;
  empty: ReactNode;
}

function ChangeSets({ fleet, state, title, note, empty }: ChangeSetsProps) {
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(changeSetsQuery(fleet, state));
  const rows = data?.pages.flatMap((page) => page.change_sets ?? []).map((changeSet) => ({ fleet, changeSet })) ?? [];
  return (
    <>
      {error && <Failure error={error} doing="Loading change sets" retry={() => void refetch()} />}
      <Section title={title} note={note} flush>
        {data ? (
          <DataTable label={`Change sets: ${title.toLowerCase()}`} columns={changeSetColumns} data={rows} rowKey={(row) => row.changeSet.id ?? ''} empty={empty} />
        ) : (
          !error && <LoadingTable />
        )}
        <MoreButton shown={hasNextPage} loading={isFetchingNextPage} onClick={() => void fetchNextPage()} />
      </Section>
    </>
  );
}

function NoneOpen() {
  return (
    <Empty title="No change set is open">
      Open one with <Code>tidegate apply -f FILE --draft</Code>; it appears here with what it changes and risks.
    </Empty>
  );
}
