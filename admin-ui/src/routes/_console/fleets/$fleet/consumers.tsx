import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { ConsumersPage } from '@/features/consumers/ConsumersPage';

export const Route = createFileRoute('/_console/fleets/$fleet/consumers')({
  validateSearch: z.object({ search: z.catch(z.optional(z.string().check(z.maxLength(200))), undefined) }),
  component: Consumers,
});

function Consumers() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <ConsumersPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
