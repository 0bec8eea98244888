import { useQuery } from '@tanstack/react-query';
import type { ChangeSet } from '@/api/changeSets';
import { revisionDiffQuery } from '@/api/revisions';
import { LoadingTable } from '@/components/DataTable';
import { DiffView } from '@/components/DiffView';
import { Failure } from '@/components/Notice';
import { count } from '@/format/number';
import { draftDiffQuery } from './draft';

interface ChangesOfDraftProps {
  fleet: string;
  changeSet: ChangeSet;
  head: number;
}

/** What a draft would change if it were published now. */
export function ChangesOfDraft({ fleet, changeSet, head }: ChangesOfDraftProps) {
  const { data, error, refetch } = useQuery(draftDiffQuery(fleet, changeSet, head));
  if (data) return <DiffView diff={data} against={head === 0 ? 'nothing: it is the first' : `revision ${count(head)}, the head`} unchanged="The head holds all of it already." />;
  return error ? <Failure error={error} doing="Comparing it with the head" retry={() => void refetch()} /> : <LoadingTable rows={8} />;
}

/** What a change set changed when it was published. */
export function ChangesOfRevision({ fleet, revision }: { fleet: string; revision: number }) {
  const { data, error, refetch } = useQuery(revisionDiffQuery(fleet, revision, 0));
  if (data) return <DiffView diff={data} against="the revision before" unchanged="Both revisions hold the same resources." />;
  return error ? <Failure error={error} doing="Comparing revisions" retry={() => void refetch()} /> : <LoadingTable rows={8} />;
}
