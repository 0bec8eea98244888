import { expect, test } from './test';

test('the fleet shows each agent that is connected, and what it serves', async ({ api, signInPage, fleetPage }) => {
  await signInPage.open();
  await signInPage.give();
  const agents = await api.connectedAgents();
  expect(agents.length).toBeGreaterThan(0);
  for (const name of agents) {
    await expect(fleetPage.agent(name)).toContainText('connected');
    await expect(fleetPage.agent(name)).toContainText('just now');
  }
});

test('every page of the fleet opens', async ({ page, signInPage, fleetPage }) => {
  await signInPage.open();
  await signInPage.give();
  await expect(fleetPage.heading).toBeVisible();
  for (const name of ['Change sets', 'Rollouts', 'Revisions', 'Services', 'Routes', 'Plugins', 'Plans', 'Consumers'] as const) {
    await fleetPage.goTo(name);
    await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
    await expect(page.getByRole('alert')).toHaveCount(0);
  }
});
