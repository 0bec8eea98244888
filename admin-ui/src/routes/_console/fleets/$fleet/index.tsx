import { createFileRoute } from '@tanstack/react-router';
import { FleetPage } from '@/features/fleets/FleetPage';

export const Route = createFileRoute('/_console/fleets/$fleet/')({ component: Fleet });

function Fleet() {
  const { fleet } = Route.useParams();
  return <FleetPage fleet={fleet} />;
}
