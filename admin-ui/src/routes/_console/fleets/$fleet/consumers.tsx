import { createFileRoute } from '@tanstack/react-router';
import { z } from 'zod';
import { ConsumersPage } from '@/features/consumers/ConsumersPage';

export const Route = createFileRoute('/_console/fleets/$fleet/consumers')({
  validateSearch: z.object({ search: z.string().max(200).optional().catch(undefined) }),
  component: Consumers,
});

function Consumers() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <ConsumersPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
