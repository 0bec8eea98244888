import { useDocumentVisibility } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { LIVE_INTERVAL } from '@/api/query';
import { rolloutQuery, watchRollout } from '@/api/rollouts';
import { hasEnded } from './states';

/** How the page learns of changes: from the stream, by asking each second, or not at all since nothing changes any more. */
export type Feed = 'stream' | 'polling' | 'ended';

/** How long to poll before the stream is tried again. */
const RETRY_INTERVAL = 5_000;

/** A rollout, kept up to date by its stream, and by polling while the stream is away. */
export function useRolloutWatch(fleet: string, id: string) {
  const [streaming, setStreaming] = useState(false);
  const queryClient = useQueryClient();
  const query = useQuery({
    ...rolloutQuery(fleet, id),
    refetchInterval: ({ state: { data } }) => (streaming || (data && hasEnded(data)) ? false : LIVE_INTERVAL),
  });
  const over = query.data !== undefined && hasEnded(query.data);
  // A browser opens six connections to a server over HTTP/1.1, for all tabs together: those that nobody sees hold none.
  const seen = useDocumentVisibility() === 'visible';

  useEffect(() => {
    if (over || !seen) return;
    const stop = new AbortController();
    const { queryKey } = rolloutQuery(fleet, id);
    const watch = async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const rollout of watchRollout(fleet, id, stop.signal)) {
            await queryClient.cancelQueries({ queryKey, exact: true }); // an older answer must not overtake
            queryClient.setQueryData(queryKey, rollout);
            setStreaming(true);
          }
        } catch {
          // Polling goes on, and shows its own error if that fails too.
        }
        setStreaming(false);
        await pause(RETRY_INTERVAL, stop.signal);
      }
    };
    void watch();
    return () => stop.abort();
  }, [fleet, id, over, seen, queryClient]);

  const feed: Feed = over ? 'ended' : streaming ? 'stream' : 'polling';
  return { ...query, feed };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
