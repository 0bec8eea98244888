import { Anchor } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fleetQuery } from '@/api/fleets';
import { StateBadge } from '@/components/StateBadge';
import classes from './Shell.module.css';

/** Says on every page that a rollout is under way, and leads to it. */
export function ActiveRollout({ fleet }: { fleet: string }) {
  const { data } = useQuery(fleetQuery(fleet));
  const rollout = data?.active_rollout ?? '';
  if (rollout === '') return null;
  return (
    <Anchor
      className={classes['running']}
      renderRoot={(props) => <Link to="/fleets/$fleet/rollouts/$rollout" params={{ fleet, rollout }} {...props} />}
    >
      <StateBadge state="rolling_out" />
    </Anchor>
  );
}
