import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, idempotencyKey, type Schemas, unwrap } from './client';

export type Revision = Schemas['Revision'];
export type Diff = Schemas['Diff'];
export type ResourceChange = Schemas['ResourceChange'];
export type PublishResponse = Schemas['PublishResponse'];

const REVISIONS_PER_PAGE = 50;

export function revisionsQuery(fleet: string) {
  return infiniteQueryOptions({
    queryKey: ['fleets', fleet, 'revisions'],
    queryFn: ({ pageParam, signal }) => {
      const query = { page_size: REVISIONS_PER_PAGE, page_token: pageParam };
      return unwrap(client.GET('/v1/fleets/{fleet}/revisions', { params: { path: { fleet }, query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => (page.next_page_token === '' ? undefined : page.next_page_token),
    refetchInterval: 2_000,
  });
}

export function revisionQuery(fleet: string, number: number) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'revisions', number],
    queryFn: ({ signal }) => unwrap(client.GET('/v1/fleets/{fleet}/revisions/{number}', { params: { path: { fleet, number } }, signal })),
    refetchInterval: 2_000,
  });
}

/** What changed between two revisions; from 0 is the parent. Revisions never change, so neither does this. */
export function revisionDiffQuery(fleet: string, number: number, from: number) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'revisions', number, 'diff', from],
    queryFn: ({ signal }) => {
      const params = { path: { fleet, number }, query: from === 0 ? {} : { from } };
      return unwrap(client.GET('/v1/fleets/{fleet}/revisions/{number}:diff', { params, signal }));
    },
    staleTime: Infinity,
  });
}

export function rollbackTo(fleet: string, number: number, reason: string): Promise<PublishResponse> {
  const params = { path: { fleet, number }, header: idempotencyKey() };
  return unwrap(client.POST('/v1/fleets/{fleet}/revisions/{number}:rollback', { params, body: { reason } }));
}
