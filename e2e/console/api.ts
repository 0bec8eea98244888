import { type APIRequestContext, expect } from '@playwright/test';
import { adminToken, fleet } from './environment';

export interface Published {
  revision: number;
  rollout: string;
}

/** A change set as it was opened. */
export interface Draft {
  id: string;
  message: string;
}

/** What a program does beside the browser, by the admin API. */
export class API {
  readonly #request: APIRequestContext;

  constructor(request: APIRequestContext) {
    this.#request = request;
  }

  /** Makes or replaces a strategy of two steps: one agent with half of its traffic for a while, then everything. */
  async makeStrategy(name: string, bake: string): Promise<void> {
    const steps = [
      { agents: 1, traffic_percent: 50, bake, minimum_samples: 0 },
      { agents_percent: 100, traffic_percent: 100, bake: '0s', minimum_samples: 0 },
    ];
    await this.#send('PUT', `/v1/fleets/${fleet}/strategies/${name}`, { name, spec: { steps } });
  }

  /** Publishes a route that nobody else knows, by a strategy. */
  async publishRoute(name: string, strategy: string): Promise<Published> {
    const answer = await this.#send('POST', `/v1/fleets/${fleet}:apply`, { message: `Route ${name}`, resources: routeOf(name), strategy });
    return (answer as { published: Published }).published;
  }

  /** Opens a change set with a route that nobody else knows. */
  async draftRoute(name: string): Promise<Draft> {
    const message = `Route ${name}`;
    const { id } = (await this.#send('POST', `/v1/fleets/${fleet}/changeSets`, { message })) as { id: string };
    await this.#send('POST', `/v1/fleets/${fleet}/changeSets/${id}:edit`, { upserts: routeOf(name) });
    return { id, message };
  }

  /** Adds a service to a change set. */
  async editDraft(id: string, name: string): Promise<void> {
    await this.#send('POST', `/v1/fleets/${fleet}/changeSets/${id}:edit`, { upserts: routeOf(name).slice(0, 1) });
  }

  /** Sets what the fleet asks of those who change it. */
  async setPolicy(policy: object): Promise<void> {
    await this.#send('PUT', `/v1/fleets/${fleet}/policy`, policy);
  }

  /** Makes a token of somebody else, which lives for an hour. */
  async makeToken(token: { name: string; role: string }): Promise<string> {
    const { secret } = (await this.#send('POST', '/v1/tokens', { ...token, ttl: '1h' })) as { secret: string };
    return secret;
  }

  /** The first revision of a fleet goes out at once, with nothing to compare: makes sure that there was one. */
  async ensureStable(): Promise<void> {
    const { stable_revision = 0 } = (await this.#send('GET', `/v1/fleets/${fleet}`)) as { stable_revision?: number };
    if (stable_revision > 0) return;
    const { rollout } = await this.publishRoute('console-first', 'immediate');
    await expect.poll(() => this.rolloutState(rollout), { timeout: 30_000 }).toBe('completed');
  }

  async rolloutState(id: string): Promise<string> {
    return ((await this.#send('GET', `/v1/fleets/${fleet}/rollouts/${id}`)) as { state: string }).state;
  }

  /** The names of the fleet's connected agents. */
  async connectedAgents(): Promise<string[]> {
    const { agents = [] } = (await this.#send('GET', `/v1/fleets/${fleet}/agents`)) as { agents?: { name: string; state: string }[] };
    return agents.filter((agent) => agent.state === 'connected').map((agent) => agent.name);
  }

  async #send(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await this.#request.fetch(path, { method, data: body, headers: { authorization: `Bearer ${adminToken()}` } });
    if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${await answer.text()}`);
    return answer.json();
  }
}

/** A service, and a route of a host that nothing else has. */
function routeOf(name: string): object[] {
  return [
    { name, service: { url: 'http://127.0.0.1:9' } },
    { name, route: { service: name, match: { hosts: [`${name}.example`], paths: ['/**'] } } },
  ];
}
