import { createFileRoute } from '@tanstack/react-router';
import { z } from 'zod';
import { PluginsPage } from '@/features/plugins/PluginsPage';

export const Route = createFileRoute('/_console/fleets/$fleet/plugins')({
  validateSearch: z.object({ search: z.string().max(200).optional().catch(undefined) }),
  component: Plugins,
});

function Plugins() {
  const { fleet } = Route.useParams();
  const { search } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <PluginsPage fleet={fleet} search={search ?? ''} onSearch={(next) => void navigate({ search: next === '' ? {} : { search: next }, replace: true })} />;
}
