import { infiniteQueryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';
import { PAGE_SIZE } from './query';

export type Consumer = Schemas['Consumer'];

/** The consumers of a fleet's head, by name; search keeps those whose names begin with it. */
export function consumersQuery(fleet: string, search: string) {
  return infiniteQueryOptions({
    queryKey: ['fleets', fleet, 'consumers', { search }],
    queryFn: async ({ pageParam, signal }) => {
      const query = { page_size: PAGE_SIZE, page_token: pageParam, filter: search === '' ? '' : `name:${search}` };
      const page = await unwrap(client.GET('/v1/fleets/{fleet}/consumers', { params: { path: { fleet }, query }, signal }));
      return { items: page.consumers ?? [], next: page.next_page_token ?? '' };
    },
    initialPageParam: '',
    getNextPageParam: (page) => (page.next === '' ? undefined : page.next),
    refetchInterval: 5_000,
  });
}
