import { Alert, Anchor, Code, SimpleGrid, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ChangeSet, changeSetQuery } from '@/api/changeSets';
import { fleetQuery } from '@/api/fleets';
import { LoadingTable } from '@/components/DataTable';
import { Expectations } from '@/components/Expectations';
import { Moment } from '@/components/Moment';
import { Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { StateBadge } from '@/components/StateBadge';
import { count } from '@/format/number';
import { afterFirstLine } from '@/format/text';
import { ApprovalSection } from './ApprovalSection';
import { ChangeSetActions } from './ChangeSetActions';
import { ChangesOfDraft, ChangesOfRevision } from './Changes';
import { CheckSection } from './CheckSection';
import { RiskSection } from './RiskSection';
import { titleOf } from './states';

interface ChangeSetPageProps {
  fleet: string;
  id: string;
}

/** One change set: what it changes and risks, who approved it, and what can be done with it. */
export function ChangeSetPage({ fleet, id }: ChangeSetPageProps) {
  const { data: changeSet, error, refetch } = useQuery(changeSetQuery(fleet, id));
  const { data: present } = useQuery(fleetQuery(fleet));
  if (!changeSet) {
    return <Page title="Change set">{error ? <Failure error={error} doing="Loading the change set" retry={() => void refetch()} /> : <LoadingTable rows={8} />}</Page>;
  }
  const head = present?.head_revision ?? changeSet.base_revision ?? 0;
  const body = afterFirstLine(changeSet.message);
  return (
    <Page
      title={titleOf(changeSet)}
      aside={<StateBadge state={changeSet.state} />}
      lead={<Lead fleet={fleet} changeSet={changeSet} head={head} />}
      actions={changeSet.state === 'open' && <ChangeSetActions fleet={fleet} changeSet={changeSet} head={head} />}
    >
      <Stack gap="sm">
        {error && <Failure error={error} doing="Keeping this page up to date" retry={() => void refetch()} />}
        {body !== '' && (
          <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
            {body}
          </Text>
        )}
        {changeSet.state === 'open' ? <Draft fleet={fleet} changeSet={changeSet} head={head} /> : <Closed fleet={fleet} changeSet={changeSet} head={head} />}
      </Stack>
    </Page>
  );
}

interface PartProps {
  fleet: string;
  changeSet: ChangeSet;
  /** The revision that it would be published on. */
  head: number;
}

function Lead({ fleet, changeSet: { id, author, create_time, base_revision = 0, state }, head }: PartProps) {
  const behind = state === 'open' && base_revision < head;
  return (
    <>
      opened by {author} · <Moment time={create_time} /> · on {base_revision === 0 ? 'nothing' : <RevisionLink fleet={fleet} revision={base_revision} />}
      {behind && <>, revision {count(head)} is published now</>} · <Code>{id}</Code>
    </>
  );
}

function Draft({ fleet, changeSet, head }: PartProps) {
  return (
    <>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm" style={{ alignItems: 'start' }}>
        <RiskSection risk={changeSet.risk} />
        <ApprovalSection changeSet={changeSet} />
      </SimpleGrid>
      <CheckSection fleet={fleet} changeSet={changeSet} head={head} />
      <Expectations expectations={changeSet.expectations} />
      <ChangesOfDraft fleet={fleet} changeSet={changeSet} head={head} />
    </>
  );
}

function Closed({ fleet, changeSet, head }: PartProps) {
  const { state, revision = 0 } = changeSet;
  return (
    <>
      <Alert role="note" color={state === 'published' ? 'teal' : 'gray'} variant="light" p="xs">
        <Text size="sm">{state === 'published' ? <Became fleet={fleet} revision={revision} /> : 'It was given up, and can only be read.'}</Text>
      </Alert>
      {(changeSet.approvals ?? []).length > 0 && <ApprovalSection changeSet={changeSet} />}
      <Expectations expectations={changeSet.expectations} />
      {revision > 0 ? <ChangesOfRevision fleet={fleet} revision={revision} /> : <ChangesOfDraft fleet={fleet} changeSet={changeSet} head={head} />}
    </>
  );
}

function Became({ fleet, revision }: { fleet: string; revision: number }) {
  if (revision === 0) return <>It was published. Nothing that goes out in revisions changed, so it became none.</>;
  return (
    <>
      It was published as <RevisionLink fleet={fleet} revision={revision} />.
    </>
  );
}

function RevisionLink({ fleet, revision }: { fleet: string; revision: number }) {
  return (
    <Anchor inherit renderRoot={(props) => <Link to="/fleets/$fleet/revisions/$revision" params={{ fleet, revision }} {...props} />}>
      revision {count(revision)}
    </Anchor>
  );
}
