import { createFileRoute } from '@tanstack/react-router';
import { z } from 'zod';
import { ServicesPage } from '@/features/services/ServicesPage';

export const Route = createFileRoute('/_console/fleets/$fleet/services')({
  validateSearch: z.object({ search: z.string().max(200).optional().catch(undefined) }),
  component: Services,
});

function Services() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <ServicesPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
