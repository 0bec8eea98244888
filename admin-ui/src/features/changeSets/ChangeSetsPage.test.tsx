import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test } from 'vitest';
import { renderConsole } from '@/testing/render';
import { FakeServer, problem } from '@/testing/server';

const made: Record<string, object[]> = {
  'state=open': [{ id: 'one', message: 'Orders need a key', state: 'open', author: 'ada', base_revision: 4 }],
  'state=published': [{ id: 'two', message: 'Payments move', state: 'published', author: 'grace', base_revision: 3, revision: 4 }],
  'state=abandoned': [{ id: 'three', message: 'A bad idea', state: 'abandoned', author: 'pat', base_revision: 2 }],
};

function server(): FakeServer {
  return new FakeServer()
    .on('GET /v1/sessions/current', { subject: 'operator', role: 'admin' })
    .on('GET /v1/fleets', { fleets: [{ name: 'default' }] })
    .on('GET /v1/fleets/default', { name: 'default', head_revision: 4 })
    .on('GET /v1/fleets/default/changeSets', (request: Request) => {
      return Response.json({ change_sets: made[new URL(request.url).searchParams.get('filter') ?? ''] ?? [] });
    })
    .listen();
}

test('open change sets come first, and those that were published follow', async () => {
  server();
  renderConsole('/fleets/default/change-sets');
  const open = await screen.findByRole('table', { name: 'Change sets: open' });
  expect(within(open).getByRole('link', { name: 'Orders need a key' })).toHaveAttribute('href', '/fleets/default/change-sets/one');
  const closed = await screen.findByRole('table', { name: 'Change sets: no longer open' });
  expect(within(closed).getByRole('link', { name: 'revision 4' })).toHaveAttribute('href', '/fleets/default/revisions/4');
  expect(open.compareDocumentPosition(closed) & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
});

test('those that were given up can be looked at too, by a link', async () => {
  server();
  const { router } = renderConsole('/fleets/default/change-sets');
  await userEvent.click(await screen.findByRole('combobox', { name: 'No longer open' }));
  await userEvent.click(await screen.findByRole('option', { name: 'abandoned' }));
  expect(await screen.findByRole('link', { name: 'A bad idea' })).toBeVisible();
  expect(router.state.location.search).toEqual({ closed: 'abandoned' });
});

test('the navigation leads here', async () => {
  server();
  renderConsole('/fleets/default/change-sets');
  const navigation = await screen.findByRole('navigation', { name: 'Pages of the fleet' });
  expect(within(navigation).getByRole('link', { name: 'Change sets' })).toHaveAttribute('href', '/fleets/default/change-sets');
});

test('without any it says how one is opened', async () => {
  server().on('GET /v1/fleets/default/changeSets', {});
  renderConsole('/fleets/default/change-sets');
  expect(await screen.findByText('tidegate apply -f FILE --draft')).toBeVisible();
});

test('a failure is told', async () => {
  server().on('GET /v1/fleets/default/changeSets', () => problem(403, 'You may not do this'));
  renderConsole('/fleets/default/change-sets');
  expect((await screen.findAllByText('Loading change sets failed'))[0]).toBeVisible();
});
