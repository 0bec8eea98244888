import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { PluginsPage } from '@/features/plugins/PluginsPage';

export const Route = createFileRoute('/_console/fleets/$fleet/plugins')({
  validateSearch: z.object({ search: z.catch(z.optional(z.string().check(z.maxLength(200))), undefined) }),
  component: Plugins,
});

function Plugins() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <PluginsPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
