import { randomBytes } from 'node:crypto';
import { expect, test } from './test';

/** A name that no other run has used. */
const fresh = (what: string) => `${what}-${randomBytes(4).toString('hex')}`;

test.afterEach(({ api }) => api.setPolicy({}));

test('a draft is refused until a colleague has approved it, and then published and rolled out', async ({
  api,
  signInPage,
  fleetPage,
  changeSetsPage,
  changeSetPage,
  rolloutPage,
}) => {
  await api.ensureStable();
  await api.setPolicy({ approvals: { low: 1 } });
  const reviewer = { name: fresh('reviewer'), role: 'publisher' };
  const token = await api.makeToken(reviewer);
  const name = fresh('console');
  const { id, message } = await api.draftRoute(name);

  // Whoever made the draft cannot approve it, nor publish it alone.
  await signInPage.open();
  await signInPage.give();
  await fleetPage.goTo('Change sets');
  await changeSetsPage.show(message);
  await expect(changeSetPage.heading(message)).toBeVisible();
  await expect(changeSetPage.risk).toContainText('low risk');
  await expect(changeSetPage.approvals).toContainText('0 of 1');
  await expect(changeSetPage.checks).toContainText('It breaks no rule');
  await expect(changeSetPage.change('routes', name)).toContainText(`"${name}.example"`);
  await expect(changeSetPage.button('Publish')).toBeEnabled();
  await expect(changeSetPage.button('Approve')).toHaveCount(0);
  await changeSetPage.publish('immediate');
  await expect(changeSetPage.dialog.getByRole('alert')).toContainText('Others must approve it first');
  await changeSetPage.dismiss();
  await signInPage.signOut();

  // A colleague sees the same, approves it and publishes it.
  await signInPage.give(token);
  await changeSetPage.open(id);
  await changeSetPage.approve('checked with the owners');
  await expect(changeSetPage.approvals).toContainText('1 of 1');
  await expect(changeSetPage.approvals).toContainText('checked with the owners');
  await expect(changeSetPage.button('Approve')).toHaveCount(0);
  await changeSetPage.publish('immediate');
  await expect(rolloutPage.state('completed')).toBeVisible({ timeout: 60_000 });

  await fleetPage.goTo('Change sets');
  await expect(changeSetsPage.closed.getByRole('row').filter({ hasText: message })).toContainText('published');
});

test('an edit takes an approval back, and the page says so by itself', async ({ api, signInPage, fleetPage, changeSetPage }) => {
  await api.ensureStable();
  await api.setPolicy({ approvals: { low: 1 } });
  const token = await api.makeToken({ name: fresh('reviewer'), role: 'publisher' });
  const { id } = await api.draftRoute(fresh('console'));
  await signInPage.open();
  await signInPage.give(token);
  await expect(fleetPage.heading).toBeVisible();
  await changeSetPage.open(id);
  await changeSetPage.approve('fine');
  await expect(changeSetPage.approvals).toContainText('1 of 1');

  const second = fresh('console');
  await api.editDraft(id, second);
  await expect(changeSetPage.change('services', second)).toBeVisible();
  await expect(changeSetPage.approvals).toContainText('0 of 1');
  await expect(changeSetPage.button('Approve')).toBeEnabled();
});
