import { Anchor, Code, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Revision, revisionDiffQuery, revisionQuery } from '@/api/revisions';
import { LoadingTable } from '@/components/DataTable';
import { Moment } from '@/components/Moment';
import { Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { StateBadge } from '@/components/StateBadge';
import { count } from '@/format/number';
import { DiffView } from './DiffView';
import { RollbackButton } from './RollbackButton';

interface RevisionPageProps {
  fleet: string;
  number: number;
  /** What to compare with; 0 is the parent. */
  from: number;
}

/** One revision: what it changed, and the way back to it. */
export function RevisionPage({ fleet, number, from }: RevisionPageProps) {
  const revision = useQuery(revisionQuery(fleet, number));
  const diff = useQuery(revisionDiffQuery(fleet, number, from));
  return (
    <Page
      title={`Revision ${count(number)}`}
      aside={<StateBadge state={revision.data?.state} />}
      lead={revision.data && <Lead fleet={fleet} revision={revision.data} />}
      actions={revision.data && <RollbackButton fleet={fleet} revision={revision.data} />}
    >
      <Stack gap="sm">
        {revision.error && <Failure error={revision.error} doing="Loading the revision" retry={() => void revision.refetch()} />}
        {diff.error && <Failure error={diff.error} doing="Comparing revisions" retry={() => void diff.refetch()} />}
        {diff.isPending && <LoadingTable rows={8} />}
        {diff.data && <DiffView diff={diff.data} from={from === 0 ? (revision.data?.parent ?? 0) : from} />}
      </Stack>
    </Page>
  );
}

function Lead({ fleet, revision }: { fleet: string; revision: Revision }) {
  const rollout = revision.rollout ?? '';
  return (
    <>
      {revision.message === undefined || revision.message === '' ? 'No message' : revision.message} · {revision.origin} by {revision.author} ·{' '}
      <Moment time={revision.create_time} /> · root <Code title={revision.root}>{revision.root?.slice(0, 12)}</Code>
      {rollout !== '' && (
        <>
          {' '}
          ·{' '}
          <Anchor inherit renderRoot={(props) => <Link to="/fleets/$fleet/rollouts/$rollout" params={{ fleet, rollout }} {...props} />}>
            its rollout
          </Anchor>
        </>
      )}
    </>
  );
}
