import { randomBytes } from 'node:crypto';
import { expect, test } from './test';

/** A name that no other run has used. */
const fresh = () => `console-${randomBytes(4).toString('hex')}`;

test('a rollout is watched from its first step to its end', async ({ api, signInPage, fleetPage, rolloutsPage, rolloutPage }) => {
  await signInPage.open();
  await signInPage.give();
  await expect(fleetPage.heading).toBeVisible();

  await api.ensureStable();
  await api.makeStrategy('console-watch', '5m');
  const { revision, rollout } = await api.publishRoute(fresh(), 'console-watch');

  await fleetPage.goTo('Rollouts');
  await rolloutsPage.open(revision);
  await expect(rolloutPage.heading(revision)).toBeVisible();
  await expect(rolloutPage.step(1)).toHaveAttribute('data-progress', 'current');
  await expect(rolloutPage.feed).toHaveText('live');
  await expect(rolloutPage.agents().filter({ hasText: 'candidate and control' })).toHaveCount(1);

  // Nothing is reloaded from here on: the page follows by itself, and the rest of the five minutes is waived.
  await rolloutPage.command('Promote', 'seen enough');
  await expect(rolloutPage.state('completed')).toBeVisible({ timeout: 60_000 });
  await expect(rolloutPage.step(2)).toHaveAttribute('data-progress', 'done');
  await expect(rolloutPage.event('seen enough')).toBeVisible();
  await expect(rolloutPage.event('completed')).toBeVisible();
  expect(await api.rolloutState(rollout)).toBe('completed');
});

test('a rollout is paused, resumed and aborted by its buttons, each with a reason', async ({ api, signInPage, fleetPage, rolloutPage }) => {
  await signInPage.open();
  await signInPage.give();
  await expect(fleetPage.heading).toBeVisible();

  await api.ensureStable();
  await api.makeStrategy('console-steer', '5m');
  const { rollout } = await api.publishRoute(fresh(), 'console-steer');
  await rolloutPage.open(rollout);
  await rolloutPage.command('Pause', 'looking at it');
  await expect(rolloutPage.state('paused')).toBeVisible();
  await rolloutPage.command('Resume', 'it looks fine');
  await expect(rolloutPage.state('running')).toBeVisible();
  await rolloutPage.command('Abort', 'customers call');
  await expect(rolloutPage.state('aborted')).toBeVisible();
  await expect(rolloutPage.event('aborted')).toContainText('customers call');
  await expect(rolloutPage.step(1)).toHaveAttribute('data-progress', 'failed');
  expect(await api.rolloutState(rollout)).toBe('aborted');
});
