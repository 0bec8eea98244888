import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { PlansPage } from '@/features/plans/PlansPage';

export const Route = createFileRoute('/_console/fleets/$fleet/plans')({
  validateSearch: z.object({ search: z.catch(z.optional(z.string().check(z.maxLength(200))), undefined) }),
  component: Plans,
});

function Plans() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <PlansPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
