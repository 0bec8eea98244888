import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { RoutesPage } from '@/features/routes/RoutesPage';

export const Route = createFileRoute('/_console/fleets/$fleet/routes')({
  validateSearch: z.object({ search: z.catch(z.optional(z.string().check(z.maxLength(200))), undefined) }),
  component: Routes,
});

function Routes() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <RoutesPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
