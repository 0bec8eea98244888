import createClient from 'openapi-fetch';
import { serverClock } from '@/format/clock';
import { problemOf } from './problem';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/**
 * The one client of the admin API. The session travels as a cookie that scripts cannot read, so nothing here holds a secret.
 * `fetch` is looked up at each call: tests put another one there.
 */
export const client = createClient<paths>({
  baseUrl: globalThis.location.origin,
  credentials: 'same-origin',
  fetch: async (request) => {
    const response = await globalThis.fetch(request);
    serverClock.observe(response.headers.get('date'), Date.now());
    return response;
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a success; an ApiProblem is thrown for all else. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(error, response);
  return data as T;
}

/**
 * A fresh key for one write: sent again with the same key, the write happens once. (crypto.randomUUID exists on secure origins
 * only, and a console may be reached by plain HTTP inside a network.)
 */
export function idempotencyKey(): { 'Idempotency-Key': string } {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { 'Idempotency-Key': Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
