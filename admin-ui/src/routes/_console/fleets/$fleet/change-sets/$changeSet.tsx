import { createFileRoute } from '@tanstack/react-router';
import { ChangeSetPage } from '@/features/changeSets/ChangeSetPage';

export const Route = createFileRoute('/_console/fleets/$fleet/change-sets/$changeSet')({ component: ChangeSet });

function ChangeSet() {
  const { fleet, changeSet } = Route.useParams();
  return <ChangeSetPage key={changeSet} fleet={fleet} id={changeSet} />;
}
