import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Rollout } from '@/api/rollouts';
import { columnsOf } from '@/components/DataTable';
import { Moment } from '@/components/Moment';
import { StateBadge } from '@/components/StateBadge';
import { count, percent, plural } from '@/format/number';
import { duration, instant } from '@/format/time';
import { stepsOf } from './states';

export interface RolloutRow {
  fleet: string;
  rollout: Rollout;
}

const column = columnsOf<RolloutRow>();

export const rolloutColumns = column.columns([
  column.display({
    id: 'revision',
    header: 'Rollout',
    cell: ({ row: { original: { fleet, rollout } } }) => (
      <Anchor fz="sm" fw={560} style={{ whiteSpace: 'nowrap' }} renderRoot={(props) => <Link to="/fleets/$fleet/rollouts/$rollout" params={{ fleet, rollout: rollout.id ?? '' }} {...props} />}>
        Revision {count(rollout.revision)}
      </Anchor>
    ),
  }),
  column.display({
    id: 'state',
    header: 'State',
    cell: ({ row: { original: { rollout } } }) => <StateBadge state={rollout.state} />,
  }),
  column.display({
    id: 'where',
    header: 'Step',
    cell: ({ row: { original: { rollout } } }) => <Where rollout={rollout} />,
  }),
  column.display({
    id: 'message',
    header: 'Change',
    cell: ({ row: { original: { rollout } } }) => (
      <>
        <Text size="sm" lineClamp={2}>
          {rollout.message}
        </Text>
        <Text size="xs" c="dimmed" lineClamp={2}>
          {rollout.reason}
        </Text>
      </>
    ),
  }),
  column.display({
    id: 'author',
    header: 'By',
    cell: ({ row: { original: { rollout } } }) => rollout.author,
  }),
  column.display({
    id: 'began',
    header: 'Began',
    cell: ({ row: { original: { rollout } } }) => <Moment time={rollout.create_time} />,
  }),
  column.display({
    id: 'took',
    header: 'Took',
    cell: ({ row: { original: { rollout } } }) => took(rollout),
  }),
]);

function Where({ rollout }: { rollout: Rollout }) {
  const steps = stepsOf(rollout).length;
  if (rollout.state === 'completed') return <>all</>;
  return (
    <>
      <Text size="sm" style={{ whiteSpace: 'nowrap' }}>
        {(rollout.step ?? 0) + 1} of {steps}
      </Text>
      {(rollout.candidate_agents ?? 0) > 0 && (
        <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
          {plural(rollout.candidate_agents ?? 0, 'agent')}, {percent(rollout.traffic_percent)}
        </Text>
      )}
    </>
  );
}

function took({ create_time, end_time }: Rollout): string {
  const begin = instant(create_time);
  const end = instant(end_time);
  return begin === undefined || end === undefined ? '–' : duration(end - begin);
}
