import { vi } from 'vitest';

type Handler = (request: Request) => Response | Promise<Response>;

/** A control plane that knows a few answers: "GET /v1/fleets" and what is said to it. All else is a 404 problem. */
export class FakeServer {
  readonly requests: { method: string; path: string; body: unknown; headers: Headers }[] = [];
  readonly #handlers = new Map<string, Handler>();

  /** Answers a method and a path; the query is not part of it. */
  on(route: string, answer: unknown): this {
    this.#handlers.set(route, typeof answer === 'function' ? (answer as Handler) : () => Response.json(answer));
    return this;
  }

  /** Takes the place of fetch until the test ends. */
  listen(): this {
    vi.stubGlobal('fetch', (request: Request) => this.#serve(request));
    return this;
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const text = await request.clone().text();
    this.requests.push({ method: request.method, path: pathname, body: text === '' ? undefined : JSON.parse(text), headers: request.headers });
    const handler = this.#handlers.get(`${request.method} ${pathname}`);
    return handler ? handler(request) : problem(404, 'There is no such thing');
  }
}

/** An answer as RFC 9457 has it. */
export function problem(status: number, title: string, more: object = {}): Response {
  const body = { type: 'https://tidegate.dev/problems/test', title, status, request_id: 'REQUEST1', ...more };
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json' } });
}

/** A body that arrives in these pieces, and then ends or fails. */
export function pieces(texts: string[], failure?: Error): ReadableStream<Uint8Array<ArrayBuffer>> {
  const left = texts.map((text) => new TextEncoder().encode(text));
  return new ReadableStream({
    pull(controller) {
      const next = left.shift();
      if (next) controller.enqueue(next);
      else if (failure) controller.error(failure);
      else controller.close();
    },
  });
}
