import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, idempotencyKey, type Schemas, unwrap } from './client';
import { readLines } from './ndjson';
import { type Problem, problemOf } from './problem';

export type Rollout = Schemas['Rollout'];
export type RolloutAgent = Schemas['RolloutAgent'];
export type RolloutEvent = Schemas['RolloutEvent'];
export type Evidence = Schemas['Evidence'];
export type Expectation = Schemas['Expectation'];
export type GateResult = Schemas['GateResult'];
export type ShadowDifference = Schemas['ShadowDifference'];
export type ShadowResult = Schemas['ShadowResult'];
export type Step = Schemas['Step'];

const ROLLOUTS_PER_PAGE = 50;

export function rolloutsQuery(fleet: string, state: string) {
  return infiniteQueryOptions({
    queryKey: ['fleets', fleet, 'rollouts', { state }],
    queryFn: ({ pageParam, signal }) => {
      const query = { page_size: ROLLOUTS_PER_PAGE, page_token: pageParam, filter: state === '' ? '' : `state=${state}` };
      return unwrap(client.GET('/v1/fleets/{fleet}/rollouts', { params: { path: { fleet }, query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => nextPage(page.next_page_token),
    refetchInterval: 2_000,
  });
}

export function rolloutQuery(fleet: string, id: string) {
  return queryOptions({
    queryKey: ['fleets', fleet, 'rollouts', id],
    queryFn: ({ signal }) => unwrap(client.GET('/v1/fleets/{fleet}/rollouts/{id}', { params: { path: { fleet, id } }, signal })),
  });
}

/** Yields the rollout whenever it changes, until it has ended or the stream breaks. */
export async function* watchRollout(fleet: string, id: string, signal: AbortSignal): AsyncGenerator<Rollout, void, undefined> {
  const path = '/v1/fleets/{fleet}/rollouts/{id}:watch';
  const { data, error, response } = await client.GET(path, { params: { path: { fleet, id } }, parseAs: 'stream', signal });
  if (!response.ok || !data) throw problemOf(error, response);
  for await (const line of readLines(data)) {
    const message = JSON.parse(line) as { result?: Rollout; error?: Problem };
    if (message.error) throw problemOf(message.error, response);
    if (message.result) yield message.result;
  }
}

/** What a person may tell a rollout, as the API names it among the commands that are possible. */
export type RolloutCommand = 'pause' | 'resume' | 'promote' | 'promote_full' | 'approve' | 'abort';

export function commandRollout(fleet: string, id: string, command: RolloutCommand, reason: string): Promise<Rollout> {
  const init = { params: { path: { fleet, id }, header: idempotencyKey() }, body: { reason } };
  switch (command) {
    case 'pause':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:pause', init));
    case 'resume':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:resume', init));
    case 'promote':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:promote', init));
    case 'promote_full':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:promote', { ...init, body: { reason, full: true } }));
    case 'approve':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:approve', init));
    case 'abort':
      return unwrap(client.POST('/v1/fleets/{fleet}/rollouts/{id}:abort', init));
  }
}

function nextPage(token: string | undefined): string | undefined {
  return token === '' ? undefined : token;
}
