import type { Locator, Page } from '@playwright/test';

/** The list of rollouts. */
export class RolloutsPage {
  readonly table: Locator;

  constructor(page: Page) {
    this.table = page.getByRole('table', { name: 'Rollouts' });
  }

  async open(revision: number): Promise<void> {
    await this.table.getByRole('link', { name: `Revision ${revision}`, exact: true }).click();
  }
}
