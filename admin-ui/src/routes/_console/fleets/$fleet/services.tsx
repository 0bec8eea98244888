import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { ServicesPage } from '@/features/services/ServicesPage';

export const Route = createFileRoute('/_console/fleets/$fleet/services')({
  validateSearch: z.object({ search: z.catch(z.optional(z.string().check(z.maxLength(200))), undefined) }),
  component: Services,
});

function Services() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <ServicesPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
