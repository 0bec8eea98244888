import { queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';

export type Strategy = Schemas['Strategy'];

/** The strategies that a fleet knows, those that ship included. */
export function strategiesQuery(fleet: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'strategies'],
    queryFn: async ({ signal }) => {
      const answer = await unwrap(client.GET('/v1/fleets/{fleet}/strategies', { params: { path: { fleet } }, signal }));
      return answer.strategies ?? [];
    },
    staleTime: 30_000,
  });
}
