import type { Locator, Page } from '@playwright/test';
import { fleet } from '../environment';

/** A fleet with its agents. */
export class FleetPage {
  readonly heading: Locator;
  readonly agents: Locator;
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.heading = page.getByRole('heading', { level: 1, name: `Fleet ${fleet}` });
    this.agents = page.getByRole('table', { name: 'Agents' });
  }

  async open(): Promise<void> {
    await this.#page.goto(`/fleets/${fleet}`);
  }

  /** The row of one agent. */
  agent(name: string): Locator {
    return this.agents.getByRole('row').filter({ hasText: name });
  }

  /** Goes to another page of the fleet by the navigation. */
  async goTo(page: 'Change sets' | 'Rollouts' | 'Revisions' | 'Services' | 'Routes' | 'Plugins' | 'Plans' | 'Consumers'): Promise<void> {
    await this.#page.getByRole('navigation', { name: 'Pages of the fleet' }).getByRole('link', { name: page }).click();
  }
}
