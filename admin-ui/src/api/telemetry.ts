import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';

export type TelemetrySeries = Schemas['TelemetrySeries'];

/** A stretch of time before now, cut into buckets; both in seconds. */
export interface Span {
  window: number;
  step: number;
}

/** Requests of a fleet in buckets, kept apart by arm, status class and reason. */
export function trafficQuery(fleet: string, span: Span, live: boolean) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'traffic', span.window, span.step],
    queryFn: async ({ signal }) => {
      const body = { window: `${span.window}s`, step: `${span.step}s`, group_by: ['arm' as const, 'status_class' as const, 'reason' as const] };
      const answer = await unwrap(client.POST('/v1/fleets/{fleet}/telemetry:query', { params: { path: { fleet } }, body, signal }));
      return answer.series ?? [];
    },
    placeholderData: keepPreviousData,
    refetchInterval: live ? 2_000 : false,
  });
}
