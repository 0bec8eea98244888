import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test } from 'vitest';
import type { ChangeSet } from '@/api/changeSets';
import { renderConsole } from '@/testing/render';
import { FakeServer, problem } from '@/testing/server';

const id = '3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11';
const path = `/v1/fleets/default/changeSets/${id}`;

const draft: ChangeSet = {
  id,
  message: 'Orders need a key\n\nAsked for by the orders team.',
  state: 'open',
  author: 'ada',
  editors: ['ada'],
  base_revision: 4,
  etag: '"7"',
  create_time: new Date().toISOString(),
  approvals: [{ approver: 'grace', comment: 'checked with the orders team', time: new Date().toISOString() }],
  approvals_required: 2,
  risk: { class: 'high', reasons: ['touches authentication: plugins/orders-key'] },
  expectations: [{ route: 'orders', reason: 'key_missing', max_percent: 5 }],
};

const diff = {
  updated: 1,
  changes: [{ action: 'update', kind: 'plugins', name: 'orders-key', fields: [{ path: 'spec.config.header', before: '"x-key"', after: '"x-api-key"' }] }],
};

interface Who {
  subject?: string;
  role?: string;
}

function serverWith(changeSet: ChangeSet, { subject = 'pat', role = 'admin' }: Who = {}, head = 4): FakeServer {
  return new FakeServer()
    .on('GET /v1/sessions/current', { subject, role })
    .on('GET /v1/fleets', { fleets: [{ name: 'default' }] })
    .on('GET /v1/fleets/default', { name: 'default', head_revision: head })
    .on('GET /v1/fleets/default/strategies', { strategies: [{ name: 'canary-then-all', is_default: true, spec: { steps: [] } }, { name: 'immediate', spec: { steps: [] } }] })
    .on(`GET ${path}`, changeSet)
    .on(`POST ${path}:diff`, diff)
    .on(`POST ${path}:validate`, {})
    .listen();
}

/** Opens the page and presses one of its buttons. */
async function ask(name: string): Promise<HTMLElement> {
  renderConsole(`/fleets/default/change-sets/${id}`);
  const button = await screen.findByRole('button', { name });
  await waitFor(() => expect(button).toBeEnabled());
  await userEvent.click(button);
  return screen.findByRole('dialog', { name: `${name} the change set` });
}

test('it says what it changes, what it risks, who approved it and what it expects', async () => {
  serverWith(draft).on(`POST ${path}:validate`, { warnings: [{ resource: 'routes/orders', message: 'is shadowed by routes/all' }] });
  renderConsole(`/fleets/default/change-sets/${id}`);
  expect(await screen.findByRole('heading', { level: 1, name: 'Orders need a key' })).toBeVisible();
  expect(screen.getByText('Asked for by the orders team.')).toBeVisible();
  expect(screen.getByRole('region', { name: 'Risk' })).toHaveTextContent('high risktouches authentication: plugins/orders-key');
  const approvals = screen.getByRole('region', { name: 'Approvals' });
  expect(approvals).toHaveTextContent('1 of 2');
  expect(approvals).toHaveTextContent('checked with the orders team');
  expect(within(await screen.findByRole('list', { name: 'Warnings' })).getByText('is shadowed by routes/all', { exact: false })).toBeVisible();
  expect(screen.getByRole('list', { name: 'Expectations' })).toHaveTextContent('key missing on route orders');
  const change = within(await screen.findByRole('article', { name: 'plugins orders-key' }));
  expect(change.getByText('"x-key"')).toBeVisible();
  expect(change.getByText('"x-api-key"')).toBeVisible();
});

test('what keeps it from being published is told', async () => {
  const violations = [{ resource: 'routes/orders', field: 'spec.service', rule: 'reference.missing', message: 'there is no service gone' }];
  serverWith(draft).on(`POST ${path}:validate`, { violations });
  renderConsole(`/fleets/default/change-sets/${id}`);
  expect(await screen.findByRole('list', { name: 'Violations' })).toHaveTextContent('routes/orders spec.service there is no service gone');
});

test('an approval carries the comment, and the version that was shown', async () => {
  const server = serverWith(draft).on(`POST ${path}:approve`, draft);
  const dialog = await ask('Approve');
  await userEvent.type(within(dialog).getByLabelText('Comment'), 'fine');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Approve' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  const sent = server.requests.filter((request) => request.path === `${path}:approve`);
  expect(sent).toHaveLength(1);
  expect(sent[0]?.body).toEqual({ comment: 'fine' });
  expect(sent[0]?.headers.get('if-match')).toBe('"7"');
  expect(sent[0]?.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
});

test('somebody who edited it is not asked to approve it', async () => {
  serverWith(draft, { subject: 'ada' });
  renderConsole(`/fleets/default/change-sets/${id}`);
  expect(await screen.findByText('You edited it, so others approve it.')).toBeVisible();
  expect(screen.queryByRole('button', { name: 'Approve' })).toBeNull();
});

test('a publish that needs approvals says beforehand and afterwards that some are missing', async () => {
  const server = serverWith(draft);
  server.on(`POST ${path}:publish`, () => problem(409, 'Others must approve it first', { detail: 'needs 2 approvals; it has 1' }));
  const dialog = await ask('Publish');
  expect(within(dialog).getByText(/1 approval is missing/)).toBeVisible();
  await userEvent.click(within(dialog).getByRole('button', { name: 'Publish' }));
  expect(await within(dialog).findByText('Others must approve it first: needs 2 approvals; it has 1')).toBeVisible();
});

test('a publish leads to its rollout', async () => {
  const server = serverWith(draft).on(`POST ${path}:publish`, { revision: 5, rollout: '9' });
  renderConsole(`/fleets/default/change-sets/${id}`);
  const button = await screen.findByRole('button', { name: 'Publish' });
  await waitFor(() => expect(button).toBeEnabled());
  await userEvent.click(button);
  const dialog = await screen.findByRole('dialog');
  await userEvent.type(within(dialog).getByLabelText('Reason'), 'customers wait');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Publish' }));
  await waitFor(() => expect(server.requests.some((request) => request.path === '/v1/fleets/default/rollouts/9')).toBe(true));
  const sent = server.requests.find((request) => request.path === `${path}:publish`);
  expect(sent?.body).toEqual({ strategy: '', options: { reason: 'customers wait' } });
  expect(sent?.headers.get('if-match')).toBe('"7"');
});

test('administrators alone are offered what goes around the policy, and say why', async () => {
  const server = serverWith(draft).on(`POST ${path}:publish`, {});
  const dialog = await ask('Publish');
  await userEvent.click(within(dialog).getByRole('checkbox', { name: 'Emergency' }));
  expect(within(dialog).getByRole('textbox', { name: 'Reason' })).toBeRequired();
  expect(within(dialog).queryByText(/missing, so/)).toBeNull();
  await userEvent.type(within(dialog).getByRole('textbox', { name: 'Reason' }), 'orders are lost');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Publish' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  const sent = server.requests.find((request) => request.path === `${path}:publish`);
  expect(sent?.body).toEqual({ strategy: '', options: { emergency: true, reason: 'orders are lost' } });
});

test('a publisher is offered no exceptions', async () => {
  serverWith(draft, { role: 'publisher' });
  const dialog = await ask('Publish');
  expect(within(dialog).queryByRole('checkbox')).toBeNull();
});

test('one that deletes routes can say that it means to', async () => {
  serverWith(draft, { role: 'publisher' }).on(`POST ${path}:diff`, { deleted: 1, changes: [{ action: 'delete', kind: 'routes', name: 'orders', before: { name: 'orders' } }] });
  const dialog = await ask('Publish');
  expect(within(dialog).getByRole('checkbox', { name: 'It is meant to delete so many routes' })).toBeVisible();
});

test('one that is behind the head can be rebased, and a conflict is told', async () => {
  const server = serverWith(draft, {}, 6);
  server.on(`POST ${path}:rebase`, () => problem(409, 'Others changed the same things meanwhile', { detail: 'routes/orders' }));
  const dialog = await ask('Rebase');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Rebase' }));
  expect(await within(dialog).findByText('Others changed the same things meanwhile: routes/orders')).toBeVisible();
});

test('one that was given up says so, and has no buttons', async () => {
  const server = serverWith(draft).on(`DELETE ${path}`, () => {
    server.on(`GET ${path}`, { ...draft, state: 'abandoned' });
    return Response.json({});
  });
  const dialog = await ask('Abandon');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Abandon' }));
  expect(await screen.findByText('It was given up, and can only be read.')).toBeVisible();
  expect(screen.queryByRole('button', { name: 'Publish' })).toBeNull();
});

test('one that was published shows what its revision changed', async () => {
  const published: ChangeSet = { ...draft, state: 'published', revision: 5, risk: undefined };
  serverWith(published).on('GET /v1/fleets/default/revisions/5:diff', diff);
  renderConsole(`/fleets/default/change-sets/${id}`);
  expect(await screen.findByRole('link', { name: 'revision 5' })).toHaveAttribute('href', '/fleets/default/revisions/5');
  expect(await screen.findByRole('article', { name: 'plugins orders-key' })).toBeVisible();
});

test('a viewer reads and has no buttons', async () => {
  serverWith(draft, { role: 'viewer' });
  renderConsole(`/fleets/default/change-sets/${id}`);
  expect(await screen.findByText('Your role can read change sets, not approve or publish them.')).toBeVisible();
  expect(screen.queryByRole('button', { name: 'Publish' })).toBeNull();
});
