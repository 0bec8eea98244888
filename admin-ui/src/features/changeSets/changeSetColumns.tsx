import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ChangeSet } from '@/api/changeSets';
import { columnsOf } from '@/components/DataTable';
import { Moment } from '@/components/Moment';
import { StateBadge } from '@/components/StateBadge';
import { count } from '@/format/number';
import { afterFirstLine } from '@/format/text';
import { titleOf } from './states';

export interface ChangeSetRow {
  fleet: string;
  changeSet: ChangeSet;
}

const column = columnsOf<ChangeSetRow>();

export const changeSetColumns = column.columns([
  column.display({
    id: 'change',
    header: 'Change set',
    cell: ({ row: { original: { fleet, changeSet } } }) => (
      <>
        <Anchor fz="sm" fw={560} renderRoot={(props) => <Link to="/fleets/$fleet/change-sets/$changeSet" params={{ fleet, changeSet: changeSet.id ?? '' }} {...props} />}>
          {titleOf(changeSet)}
        </Anchor>
        <Text size="xs" c="dimmed" lineClamp={2}>
          {afterFirstLine(changeSet.message)}
        </Text>
      </>
    ),
  }),
  column.display({
    id: 'state',
    header: 'State',
    cell: ({ row: { original: { changeSet } } }) => <StateBadge state={changeSet.state} />,
  }),
  column.display({
    id: 'base',
    header: 'Made on',
    cell: ({ row: { original: { changeSet } } }) => `revision ${count(changeSet.base_revision)}`,
  }),
  column.display({
    id: 'author',
    header: 'Opened by',
    cell: ({ row: { original: { changeSet } } }) => changeSet.author,
  }),
  column.display({
    id: 'updated',
    header: 'Last changed',
    cell: ({ row: { original: { changeSet } } }) => <Moment time={changeSet.update_time} />,
  }),
  column.display({
    id: 'revision',
    header: 'Became',
    cell: ({ row: { original: { fleet, changeSet } } }) => <Became fleet={fleet} changeSet={changeSet} />,
  }),
]);

function Became({ fleet, changeSet: { revision = 0 } }: ChangeSetRow) {
  if (revision === 0) return <>–</>;
  return (
    <Anchor fz="sm" renderRoot={(props) => <Link to="/fleets/$fleet/revisions/$revision" params={{ fleet, revision }} {...props} />}>
      revision {count(revision)}
    </Anchor>
  );
}
