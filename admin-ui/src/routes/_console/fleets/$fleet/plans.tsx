import { createFileRoute } from '@tanstack/react-router';
import { z } from 'zod';
import { PlansPage } from '@/features/plans/PlansPage';

export const Route = createFileRoute('/_console/fleets/$fleet/plans')({
  validateSearch: z.object({ search: z.string().max(200).optional().catch(undefined) }),
  component: Plans,
});

function Plans() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <PlansPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
