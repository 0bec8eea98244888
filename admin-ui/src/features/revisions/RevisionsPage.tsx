import { Code, Stack } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { revisionsQuery } from '@/api/revisions';
import { DataTable, LoadingTable } from '@/components/DataTable';
import { MoreButton } from '@/components/MoreButton';
import { Empty, Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { Section } from '@/components/Section';
import { revisionColumns, type RevisionRow } from './revisionColumns';

/** Everything that was ever published to a fleet, the newest first. */
export function RevisionsPage({ fleet }: { fleet: string }) {
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(revisionsQuery(fleet));
  const rows: RevisionRow[] = data?.pages.flatMap((page) => page.revisions ?? []).map((revision) => ({ fleet, revision })) ?? [];
  return (
    <Page title="Revisions" lead="Each is the whole of what was published, immutable, and can be gone back to.">
      <Stack gap="xs">
        {error && <Failure error={error} doing="Loading revisions" retry={() => void refetch()} />}
        <Section title="All revisions" note="the newest first" flush>
          {data ? (
            <DataTable label="Revisions" columns={revisionColumns} data={rows} rowKey={(row) => String(row.revision.number)} empty={<NoRevisions />} />
          ) : (
            !error && <LoadingTable />
          )}
          <MoreButton shown={hasNextPage} loading={isFetchingNextPage} onClick={() => void fetchNextPage()} />
        </Section>
      </Stack>
    </Page>
  );
}

function NoRevisions() {
  return (
    <Empty title="Nothing was published yet">
      The first <Code>tidegate apply -f FILE</Code> makes revision 1.
    </Empty>
  );
}
