import { createRouter, type ErrorComponentProps, type RouterHistory } from '@tanstack/react-router';
import type { QueryClient } from '@tanstack/react-query';
import { createQueryClient } from './api/query';
import { LoadingTable } from './components/DataTable';
import { Empty, Failure } from './components/Notice';
import { routeTree } from './routeTree.gen';

/** What routes get from outside. */
export interface RouterContext {
  queryClient: QueryClient;
}

/** The router and the cache of one console. Tests give a history that is not the browser's. */
export function createConsole(history?: RouterHistory) {
  const queryClient = createQueryClient(() => {
    // Whoever has no session any more gets the sign-in page, and comes back to where they were.
    const { pathname, href } = router.state.location;
    if (pathname !== '/sign-in') void router.navigate({ to: '/sign-in', search: { next: href } });
  });
  const router = createConsoleRouter(queryClient, history);
  return { queryClient, router };
}

function createConsoleRouter(queryClient: QueryClient, history: RouterHistory | undefined) {
  return createRouter({
    routeTree,
    history,
    context: { queryClient },
    defaultPreload: 'intent', // pages load when they are first wanted
    defaultPreloadStaleTime: 0, // the query cache decides what is fresh
    scrollRestoration: true,
    defaultPendingComponent: LoadingTable,
    defaultErrorComponent: PageFailure,
    defaultNotFoundComponent: NoSuchPage,
  });
}

function PageFailure({ error, reset }: ErrorComponentProps) {
  return <Failure error={error instanceof Error ? error : new Error(String(error))} doing="Showing this page" retry={reset} />;
}

function NoSuchPage() {
  return <Empty title="There is no such page">Go back, or begin at the start page.</Empty>;
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
