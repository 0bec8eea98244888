import { test as base } from '@playwright/test';
import { API } from './api';
import { ChangeSetPage } from './pages/change-set';
import { ChangeSetsPage } from './pages/change-sets';
import { FleetPage } from './pages/fleet';
import { RolloutPage } from './pages/rollout';
import { RolloutsPage } from './pages/rollouts';
import { SignInPage } from './pages/sign-in';

interface Fixtures {
  api: API;
  signInPage: SignInPage;
  fleetPage: FleetPage;
  changeSetsPage: ChangeSetsPage;
  changeSetPage: ChangeSetPage;
  rolloutsPage: RolloutsPage;
  rolloutPage: RolloutPage;
  /** What the browser complained of; a spec fails if it complained of anything. */
  complaints: string[];
}

export const test = base.extend<Fixtures>({
  api: ({ request }, use) => use(new API(request)),
  signInPage: ({ page }, use) => use(new SignInPage(page)),
  fleetPage: ({ page }, use) => use(new FleetPage(page)),
  changeSetsPage: ({ page }, use) => use(new ChangeSetsPage(page)),
  changeSetPage: ({ page }, use) => use(new ChangeSetPage(page)),
  rolloutsPage: ({ page }, use) => use(new RolloutsPage(page)),
  rolloutPage: ({ page }, use) => use(new RolloutPage(page)),
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export const { expect } = test;
