import { queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';
import { LIVE_INTERVAL } from './query';

export type Fleet = Schemas['Fleet'];
export type FleetPolicy = Schemas['FleetPolicy'];
export type FreezeWindow = Schemas['FreezeWindow'];

/** The fleets that the fleet picker offers. */
const MOST_FLEETS = 1000;

export const fleetsQuery = queryOptions({
  queryKey: ['fleets'],
  queryFn: async ({ signal }) => {
    const page = await unwrap(client.GET('/v1/fleets', { params: { query: { page_size: MOST_FLEETS } }, signal }));
    return page.fleets ?? [];
  },
  staleTime: 30_000,
});

export function fleetQuery(fleet: string) {
  return queryOptions({
    queryKey: ['fleets', fleet],
    queryFn: ({ signal }) => unwrap(client.GET('/v1/fleets/{fleet}', { params: { path: { fleet } }, signal })),
    refetchInterval: LIVE_INTERVAL,
  });
}
