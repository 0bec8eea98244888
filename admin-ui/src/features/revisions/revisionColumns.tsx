import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Revision } from '@/api/revisions';
import { ChangeCounts } from '@/components/ChangeCounts';
import { columnsOf } from '@/components/DataTable';
import { Moment } from '@/components/Moment';
import { StateBadge } from '@/components/StateBadge';
import { count } from '@/format/number';

export interface RevisionRow {
  fleet: string;
  revision: Revision;
}

const column = columnsOf<RevisionRow>();

export const revisionColumns = column.columns([
  column.display({
    id: 'number',
    header: 'Revision',
    cell: ({ row: { original: { fleet, revision } } }) => (
      <Anchor fz="sm" fw={560} renderRoot={(props) => <Link to="/fleets/$fleet/revisions/$revision" params={{ fleet, revision: revision.number ?? 0 }} {...props} />}>
        {count(revision.number)}
      </Anchor>
    ),
  }),
  column.display({
    id: 'state',
    header: 'State',
    cell: ({ row: { original: { revision } } }) => <StateBadge state={revision.state} />,
  }),
  column.display({
    id: 'changes',
    header: 'Changes',
    cell: ({ row: { original: { revision } } }) => <ChangeCounts {...revision} />,
  }),
  column.display({
    id: 'message',
    header: 'Message',
    cell: ({ row: { original: { revision } } }) => (
      <>
        <Text size="sm" lineClamp={2}>
          {revision.message}
        </Text>
        {revision.origin !== 'publish' && (
          <Text size="xs" c="dimmed">
            {revision.origin}
          </Text>
        )}
      </>
    ),
  }),
  column.display({
    id: 'author',
    header: 'By',
    cell: ({ row: { original: { revision } } }) => revision.author,
  }),
  column.display({
    id: 'time',
    header: 'Published',
    cell: ({ row: { original: { revision } } }) => <Moment time={revision.create_time} />,
  }),
  column.display({
    id: 'rollout',
    header: 'Rollout',
    cell: ({ row: { original: { fleet, revision } } }) =>
      revision.rollout === undefined || revision.rollout === '' ? (
        '–'
      ) : (
        <RolloutLink fleet={fleet} rollout={revision.rollout} />
      ),
  }),
]);

function RolloutLink({ fleet, rollout }: { fleet: string; rollout: string }) {
  return <Anchor fz="sm" renderRoot={(props) => <Link to="/fleets/$fleet/rollouts/$rollout" params={{ fleet, rollout }} {...props} />}>How it went</Anchor>;
}
