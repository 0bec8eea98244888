import { createFileRoute } from '@tanstack/react-router';
import { RevisionsPage } from '@/features/revisions/RevisionsPage';

export const Route = createFileRoute('/_console/fleets/$fleet/revisions/')({ component: Revisions });

function Revisions() {
  const { fleet } = Route.useParams();
  return <RevisionsPage fleet={fleet} />;
}
