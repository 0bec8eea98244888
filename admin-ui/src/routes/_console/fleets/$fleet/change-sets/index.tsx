import { createFileRoute } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { ChangeSetsPage } from '@/features/changeSets/ChangeSetsPage';
import { closedStates } from '@/features/changeSets/states';

export const Route = createFileRoute('/_console/fleets/$fleet/change-sets/')({
  // Which of those that are no longer open are listed below the open ones.
  validateSearch: z.object({ closed: z.catch(z.optional(z.enum(closedStates)), undefined) }),
  component: ChangeSets,
});

function ChangeSets() {
  const { fleet } = Route.useParams();
  const { closed } = Route.useSearch();
  const navigate = Route.useNavigate();
  return <ChangeSetsPage fleet={fleet} closed={closed ?? 'published'} onClosedChange={(next) => void navigate({ search: { closed: next }, replace: true })} />;
}
