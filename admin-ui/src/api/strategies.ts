import { queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';

export type Strategy = Schemas['Strategy'];

/** How a strategy is offered: its name, and for what its coin is thrown if not for each request. */
export function strategyLabel({ name = '', spec }: Strategy): string {
  const by = spec.sticky;
  if (by === undefined) return name;
  const unit = by.header !== undefined ? `header ${by.header}` : by.cookie !== undefined ? `cookie ${by.cookie}` : 'consumer';
  return `${name} (sticky by ${unit})`;
}

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
