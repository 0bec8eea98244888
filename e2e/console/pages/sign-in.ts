import type { Locator, Page } from '@playwright/test';
import { adminToken } from '../environment';

/** The page that asks for a token, and the menu that leads back to it. */
export class SignInPage {
  readonly token: Locator;
  readonly refusal: Locator;
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.token = page.getByLabel('Admin token');
    this.refusal = page.getByText('This token is not known, has expired or was revoked.');
  }

  async open(): Promise<void> {
    await this.#page.goto('/sign-in');
  }

  /** Gives a token, by default one that works, with the keyboard alone. */
  async give(token = adminToken()): Promise<void> {
    await this.token.fill(token);
    await this.token.press('Enter');
  }

  async signOut(): Promise<void> {
    await this.#page.getByRole('banner').getByRole('button', { expanded: false }).last().click();
    await this.#page.getByRole('menuitem', { name: 'Sign out' }).click();
  }
}
