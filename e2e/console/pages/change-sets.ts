import type { Locator, Page } from '@playwright/test';

/** The list of change sets. */
export class ChangeSetsPage {
  readonly open: Locator;
  readonly closed: Locator;

  constructor(page: Page) {
    this.open = page.getByRole('table', { name: 'Change sets: open' });
    this.closed = page.getByRole('table', { name: 'Change sets: no longer open' });
  }

  /** Goes to one that is open. */
  async show(message: string): Promise<void> {
    await this.open.getByRole('link', { name: message, exact: true }).click();
  }
}
