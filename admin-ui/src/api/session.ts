import { queryOptions } from '@tanstack/react-query';
import { client, type Schemas, unwrap } from './client';

export type Session = Schemas['Session'];

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => unwrap(client.GET('/v1/sessions/current', { signal })),
  staleTime: 60_000,
});

/** Trades an admin token for a session cookie. The token is not kept anywhere. */
export function signIn(token: string): Promise<Session> {
  return unwrap(client.POST('/v1/sessions', { body: { token } }));
}

export async function signOut(): Promise<void> {
  await unwrap(client.DELETE('/v1/sessions/current'));
}

/** Whether a role may change configuration and steer rollouts. The API decides; this only spares people a refusal. */
export function mayWrite(session: Session | undefined): boolean {
  return session?.role === 'admin' || session?.role === 'publisher';
}

/** Whether a role may publish around a fleet's policy. The API decides; this only spares people a refusal. */
export function mayOverride(session: Session | undefined): boolean {
  return session?.role === 'admin';
}
