import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, idempotencyKey, type Schemas, unwrap } from './client';
import type { Diff, PublishResponse } from './revisions';

export type Approval = Schemas['Approval'];
export type ChangeSet = Schemas['ChangeSet'];
export type PublishOptions = Schemas['PublishOptions'];
export type Review = Schemas['ValidateChangeSetResponse'];

/** The states that a list of change sets is narrowed to. */
export type ChangeSetState = 'open' | 'published' | 'abandoned';

const CHANGE_SETS_PER_PAGE = 50;

/** Change sets in one state, the newest first, without their edits. */
export function changeSetsQuery(fleet: string, state: ChangeSetState) {
  return infiniteQueryOptions({
    queryKey: ['fleets', fleet, 'changeSets', { state }],
    queryFn: ({ pageParam, signal }) => {
      const query = { page_size: CHANGE_SETS_PER_PAGE, page_token: pageParam, filter: `state=${state}` };
      return unwrap(client.GET('/v1/fleets/{fleet}/changeSets', { params: { path: { fleet }, query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: ({ next_page_token: next }) => (next === '' ? undefined : next),
    refetchInterval: 3_000,
  });
}

export function changeSetQuery(fleet: string, id: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'changeSets', id],
    queryFn: ({ signal }) => unwrap(client.GET('/v1/fleets/{fleet}/changeSets/{id}', { params: { path: { fleet, id } }, signal })),
    refetchInterval: ({ state: { data } }) => (data === undefined || data.state === 'open' ? 2_000 : false),
  });
}

/** What a draft would change at head. Version names the draft and the head as they are: another version is another answer. */
export function changeSetDiffQuery(fleet: string, id: string, version: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'changeSets', id, 'diff', version],
    queryFn: ({ signal }): Promise<Diff> => {
      return unwrap(client.POST('/v1/fleets/{fleet}/changeSets/{id}:diff', { params: { path: { fleet, id } }, body: {}, signal }));
    },
  });
}

/** What keeps a draft from being published, and what looks wrong; as of a version, as the diff. */
export function changeSetReviewQuery(fleet: string, id: string, version: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'changeSets', id, 'review', version],
    queryFn: ({ signal }): Promise<Review> => {
      return unwrap(client.POST('/v1/fleets/{fleet}/changeSets/{id}:validate', { params: { path: { fleet, id } }, body: {}, signal }));
    },
  });
}

/** One draft as somebody has seen it: what is asked of it is refused if it has changed since. */
export interface SeenChangeSet {
  fleet: string;
  id: string;
  etag: string;
}

export function approveChangeSet(seen: SeenChangeSet, comment: string): Promise<ChangeSet> {
  return unwrap(client.POST('/v1/fleets/{fleet}/changeSets/{id}:approve', { ...writeOf(seen), body: { comment } }));
}

export function rebaseChangeSet(seen: SeenChangeSet): Promise<ChangeSet> {
  return unwrap(client.POST('/v1/fleets/{fleet}/changeSets/{id}:rebase', { ...writeOf(seen), body: {} }));
}

/** Publishes by a strategy, or by the fleet's own if it is empty. */
export function publishChangeSet(seen: SeenChangeSet, strategy: string, options: PublishOptions): Promise<PublishResponse> {
  return unwrap(client.POST('/v1/fleets/{fleet}/changeSets/{id}:publish', { ...writeOf(seen), body: { strategy, options } }));
}

export async function abandonChangeSet(seen: SeenChangeSet): Promise<void> {
  await unwrap(client.DELETE('/v1/fleets/{fleet}/changeSets/{id}', writeOf(seen)));
}

function writeOf({ fleet, id, etag }: SeenChangeSet) {
  return { params: { path: { fleet, id }, header: idempotencyKey() }, headers: { 'If-Match': etag } };
}
