import type { Locator, Page } from '@playwright/test';
import { fleet } from '../environment';

/** One change set. */
export class ChangeSetPage {
  readonly risk: Locator;
  readonly approvals: Locator;
  readonly checks: Locator;
  readonly dialog: Locator;
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.risk = page.getByRole('region', { name: 'Risk' });
    this.approvals = page.getByRole('region', { name: 'Approvals' });
    this.checks = page.getByRole('region', { name: 'Checks' });
    this.dialog = page.getByRole('dialog');
  }

  async open(id: string): Promise<void> {
    await this.#page.goto(`/fleets/${fleet}/change-sets/${id}`);
  }

  heading(title: string): Locator {
    return this.#page.getByRole('heading', { level: 1, name: title });
  }

  /** What happens to one resource: "services", "orders". */
  change(kind: string, name: string): Locator {
    return this.#page.getByRole('article', { name: `${kind} ${name}`, exact: true });
  }

  button(name: 'Approve' | 'Rebase' | 'Publish' | 'Abandon'): Locator {
    return this.#page.getByRole('group', { name: 'Review the change set' }).getByRole('button', { name, exact: true });
  }

  async approve(comment: string): Promise<void> {
    await this.button('Approve').click();
    await this.dialog.getByLabel('Comment').fill(comment);
    await this.#confirm('Approve');
    await this.dialog.waitFor({ state: 'hidden' });
  }

  /** Asks for it to be published by a strategy; what comes of it is on the page that follows, or in the dialog. */
  async publish(strategy: string): Promise<void> {
    await this.button('Publish').click();
    await this.dialog.getByRole('combobox', { name: 'Strategy' }).click();
    await this.#page.getByRole('option', { name: strategy, exact: true }).click();
    await this.#confirm('Publish');
  }

  async dismiss(): Promise<void> {
    await this.dialog.getByRole('button', { name: 'Cancel' }).click();
    await this.dialog.waitFor({ state: 'hidden' });
  }

  async #confirm(name: string): Promise<void> {
    await this.dialog.getByRole('button', { name, exact: true }).click();
  }
}
