import { expect, test } from './test';

test('a token opens the console, and signing out closes it', async ({ page, signInPage, fleetPage }) => {
  await signInPage.open();
  await signInPage.give();
  await expect(fleetPage.heading).toBeVisible();

  const cookies = await page.context().cookies();
  expect(cookies.find((cookie) => cookie.name === 'tidegate_session')).toMatchObject({ httpOnly: true, sameSite: 'Strict' });

  await signInPage.signOut();
  await expect(signInPage.token).toBeVisible();
  await fleetPage.open();
  await expect(signInPage.token, 'the session is over, not only hidden').toBeVisible();
});

test('a token that is not known opens nothing', async ({ signInPage }) => {
  await signInPage.open();
  await signInPage.give('tga_0000000000000000000000000000000000000000000');
  await expect(signInPage.refusal).toBeVisible();
});

test('whoever followed a link comes to it after signing in', async ({ page, signInPage }) => {
  await page.goto('/fleets/default/revisions');
  await signInPage.give();
  await expect(page.getByRole('heading', { level: 1, name: 'Revisions' })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe('/fleets/default/revisions');
});
