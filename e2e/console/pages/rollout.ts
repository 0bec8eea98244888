import type { Locator, Page } from '@playwright/test';
import { fleet } from '../environment';

/** One rollout. */
export class RolloutPage {
  /** How the page learns of changes. */
  readonly feed: Locator;
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.feed = page.locator('[data-feed]');
  }

  async open(id: string): Promise<void> {
    await this.#page.goto(`/fleets/${fleet}/rollouts/${id}`);
  }

  heading(revision: number): Locator {
    return this.#page.getByRole('heading', { level: 1, name: `Rollout of revision ${revision}` });
  }

  /** The badge beside the title, when it says so. */
  state(words: string): Locator {
    return this.#page.getByRole('main').locator('[data-state]').filter({ hasText: words }).first();
  }

  /** A step, from 1. */
  step(number: number): Locator {
    return this.#page.getByRole('list', { name: 'Steps' }).getByRole('listitem').nth(number - 1);
  }

  /** What happened, by its type or by any words of it. */
  event(words: string): Locator {
    return this.#page.getByRole('list', { name: 'Events' }).getByRole('listitem').filter({ hasText: words }).first();
  }

  agents(): Locator {
    return this.#page.getByRole('table', { name: 'Agents of the rollout' }).getByRole('row');
  }

  /** Presses one of the buttons, gives a reason and confirms. */
  async command(name: 'Pause' | 'Resume' | 'Promote' | 'Promote fully' | 'Approve' | 'Abort', reason: string): Promise<void> {
    await this.#page.getByRole('group', { name: 'Steer the rollout' }).getByRole('button', { name, exact: true }).click();
    const dialog = this.#page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill(reason);
    await dialog.getByRole('button', { name, exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
  }
}
