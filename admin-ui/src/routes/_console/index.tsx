import { createFileRoute, redirect } from '@tanstack/react-router';
import { fleetsQuery } from '@/api/fleets';
import { Empty } from '@/components/Notice';

/** Goes to the default fleet, or to the first there is. */
export const Route = createFileRoute('/_console/')({
  beforeLoad: async ({ context }) => {
    const names = (await context.queryClient.query(fleetsQuery)).map((fleet) => fleet.name);
    const fleet = names.includes('default') ? 'default' : names[0];
    if (fleet !== undefined) throw redirect({ to: '/fleets/$fleet', params: { fleet }, replace: true });
  },
  component: () => <Empty title="There is no fleet yet">The control plane makes the fleet “default” when it starts.</Empty>,
});
