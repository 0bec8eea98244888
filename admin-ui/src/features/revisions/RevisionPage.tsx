import { Anchor, Code, Group, NumberInput, Stack, Text } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Revision, revisionDiffQuery, revisionQuery } from '@/api/revisions';
import { LoadingTable } from '@/components/DataTable';
import { DiffView } from '@/components/DiffView';
import { Moment } from '@/components/Moment';
import { Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { StateBadge } from '@/components/StateBadge';
import { count } from '@/format/number';
import { afterFirstLine, firstLine } from '@/format/text';
import { RollbackButton } from './RollbackButton';

interface RevisionPageProps {
  fleet: string;
  number: number;
  /** What to compare with; 0 is the parent. */
  from: number;
  onFromChange: (from: number) => void;
}

/** One revision: what it changed, and the way back to it. */
export function RevisionPage({ fleet, number, from, onFromChange }: RevisionPageProps) {
  const revision = useQuery(revisionQuery(fleet, number));
  const diff = useQuery(revisionDiffQuery(fleet, number, from));
  return (
    <Page
      title={`Revision ${count(number)}`}
      aside={<StateBadge state={revision.data?.state} />}
      lead={revision.data && <Lead fleet={fleet} revision={revision.data} />}
      actions={
        <Group gap="xs">
          <CompareWith from={from} onChange={onFromChange} />
          {revision.data && <RollbackButton fleet={fleet} revision={revision.data} />}
        </Group>
      }
    >
      <Stack gap="sm">
        <Body text={afterFirstLine(revision.data?.message)} />
        {revision.error && <Failure error={revision.error} doing="Loading the revision" retry={() => void revision.refetch()} />}
        {diff.error && <Failure error={diff.error} doing="Comparing revisions" retry={() => void diff.refetch()} />}
        {diff.isPending && <LoadingTable rows={8} />}
        {diff.data && <DiffView diff={diff.data} against={baseWords(from === 0 ? revision.data?.parent : from)} unchanged="Both revisions hold the same resources." />}
      </Stack>
    </Page>
  );
}

/** What its message says beside its title. */
function Body({ text }: { text: string }) {
  if (text === '') return null;
  return (
    <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
      {text}
    </Text>
  );
}

function baseWords(base = 0): string {
  return base === 0 ? 'nothing: it is the first' : `revision ${count(base)}`;
}

function CompareWith({ from, onChange }: { from: number; onChange: (from: number) => void }) {
  const change = useDebouncedCallback((value: string | number) => onChange(Number(value)), 300);
  return (
    <NumberInput
      size="xs"
      w={190}
      aria-label="Compare with revision"
      placeholder="Compare with revision…"
      min={1}
      allowDecimal={false}
      allowNegative={false}
      hideControls
      defaultValue={from === 0 ? '' : from}
      onChange={change}
    />
  );
}

function Lead({ fleet, revision }: { fleet: string; revision: Revision }) {
  const rollout = revision.rollout ?? '';
  return (
    <>
      {firstLine(revision.message) || 'No message'} · {revision.origin} by {revision.author} ·{' '}
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
