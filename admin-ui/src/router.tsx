import { type ErrorComponentProps, createRouter } from '@tanstack/react-router';
import type { QueryClient } from '@tanstack/react-query';
import { LoadingTable } from './components/DataTable';
import { Empty, Failure } from './components/Notice';
import { routeTree } from './routeTree.gen';

/** What routes get from outside. */
export interface RouterContext {
  queryClient: QueryClient;
}

/** The console's router; pages load when they are first wanted. */
export function createConsoleRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: 'intent',
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
  return <Empty title="There is no such page">Choose one on the left, or go back.</Empty>;
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
