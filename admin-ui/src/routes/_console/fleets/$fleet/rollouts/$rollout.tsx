import { createFileRoute } from '@tanstack/react-router';
import { RolloutPage } from '@/features/rollouts/RolloutPage';

export const Route = createFileRoute('/_console/fleets/$fleet/rollouts/$rollout')({ component: Rollout });

function Rollout() {
  const { fleet, rollout } = Route.useParams();
  return <RolloutPage key={rollout} fleet={fleet} id={rollout} />;
}
