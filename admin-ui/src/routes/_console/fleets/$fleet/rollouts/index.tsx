import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { RolloutsPage } from '@/features/rollouts/RolloutsPage';
import { rolloutStates } from '@/features/rollouts/states';

export const Route = createFileRoute('/_console/fleets/$fleet/rollouts/')({
  validateSearch: z.object({ state: z.catch(z.optional(z.enum(rolloutStates)), undefined) }),
  component: Rollouts,
});

function Rollouts() {
  const { fleet } = Route.useParams();
  const { state } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <RolloutsPage fleet={fleet} state={state} onStateChange={(next) => void navigate({ search: { state: next }, replace: true })} />;
}
