import { createFileRoute, Outlet, redirect, useParams } from '@tanstack/react-router';
import { hasStatus } from '@/api/problem';
import { sessionQuery } from '@/api/session';
import { Shell } from '@/features/shell/Shell';

/** All pages that need somebody signed in. */
export const Route = createFileRoute('/_console')({
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.query({ ...sessionQuery, staleTime: 'static' });
    } catch (error) {
      if (hasStatus(error, 401)) throw redirect({ to: '/sign-in', search: location.pathname === '/' ? {} : { next: location.href } });
      throw error;
    }
  },
  component: Console,
});

function Console() {
  const { fleet } = useParams({ strict: false });
  return (
    <Shell fleet={fleet}>
      <Outlet />
    </Shell>
  );
}
