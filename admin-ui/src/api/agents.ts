import { queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';
import { LIVE_INTERVAL } from './query';

export type Agent = Schemas['Agent'];

/** The most agents that one page of the console shows. */
export const MOST_AGENTS = 1000;

export interface AgentList {
  agents: Agent[];
  /** There are more than the page shows. */
  more: boolean;
}

export function agentsQuery(fleet: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'agents'],
    queryFn: async ({ signal }): Promise<AgentList> => {
      const params = { path: { fleet }, query: { page_size: MOST_AGENTS } };
      const page = await unwrap(client.GET('/v1/fleets/{fleet}/agents', { params, signal }));
      return { agents: page.agents ?? [], more: (page.next_page_token ?? '') !== '' };
    },
    refetchInterval: LIVE_INTERVAL,
  });
}
