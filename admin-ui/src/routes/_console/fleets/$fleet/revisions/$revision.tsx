import { createFileRoute, notFound } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { RevisionPage } from '@/features/revisions/RevisionPage';

const number = z.coerce.number().check(z.int(), z.positive());

export const Route = createFileRoute('/_console/fleets/$fleet/revisions/$revision')({
  params: {
    parse: ({ fleet, revision }) => {
      const parsed = number.safeParse(revision);
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- the router takes this value for "no such page"
      if (!parsed.success) throw notFound();
      return { fleet, revision: parsed.data };
    },
    stringify: ({ fleet, revision }) => ({ fleet, revision: String(revision) }),
  },
  // The revision to compare with, when it is not the parent.
  validateSearch: z.object({ from: z.catch(z.optional(number), undefined) }),
  component: Revision,
});

function Revision() {
  const { fleet, revision } = Route.useParams();
  const { from } = Route.useSearch();
  const navigate = Route.useNavigate();
  const compare = (chosen: number) => void navigate({ search: chosen === 0 ? {} : { from: chosen }, replace: true });
  return <RevisionPage key={revision} fleet={fleet} number={revision} from={from ?? 0} onFromChange={compare} />;
}
