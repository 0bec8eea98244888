import { QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiProblem, hasStatus } from './problem';

/** How often pages that show something live ask again, in milliseconds. */
export const LIVE_INTERVAL = 1_000;

/** How many resources a list asks for at once. */
export const PAGE_SIZE = 100;

/** The cache of what the server said. onSignedOut is called when the session turns out to be over. */
export function createQueryClient(onSignedOut: () => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        if (hasStatus(error, 401)) onSignedOut();
      },
    }),
    defaultOptions: { queries: { retry: shouldRetry, staleTime: 500 } },
  });
}

/** An answer that says "no" will say so again; a lost connection may come back. */
export function shouldRetry(failures: number, error: Error): boolean {
  if (error instanceof ApiProblem && error.status < 500) return false;
  return failures < 2;
}
