import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test } from 'vitest';
import { renderConsole } from '@/testing/render';
import { FakeServer, problem } from '@/testing/server';

function signedOut(): FakeServer {
  return new FakeServer()
    .on('GET /v1/sessions/current', () => problem(401, 'Who is calling is not known'))
    .on('GET /v1/fleets', { fleets: [{ name: 'default' }] })
    .on('GET /v1/fleets/default', { name: 'default' })
    .on('GET /v1/fleets/default/agents', {})
    .listen();
}

async function give(token: string): Promise<void> {
  await userEvent.type(await screen.findByLabelText('Admin token'), token);
  await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
}

test('whoever has no session is asked for a token, and comes to where they wanted to go', async () => {
  const server = signedOut().on('POST /v1/sessions', { subject: 'operator', role: 'admin' });
  server.on('GET /v1/fleets/default/revisions', {});
  const { router } = renderConsole('/fleets/default/revisions');
  await give('  tga_secret ');
  await screen.findByRole('heading', { level: 1, name: 'Revisions' });
  expect(router.state.location.pathname).toBe('/fleets/default/revisions');
  expect(server.requests.find((request) => request.method === 'POST')).toMatchObject({ path: '/v1/sessions', body: { token: 'tga_secret' } });
});

test('a token that is not known is said to be so', async () => {
  signedOut().on('POST /v1/sessions', () => problem(401, 'Who is calling is not known'));
  renderConsole('/sign-in');
  await give('tga_wrong');
  expect(await screen.findByText(/not known, has expired or was revoked/)).toBeVisible();
});

test('too many attempts are told with the request id', async () => {
  signedOut().on('POST /v1/sessions', () => problem(429, 'Too many attempts', { detail: 'wait 30 s' }));
  renderConsole('/sign-in');
  await give('tga_guess');
  expect(await screen.findByText('Too many attempts: wait 30 s')).toBeVisible();
  expect(screen.getByText('REQUEST1')).toBeVisible();
});

test.each(['//evil.example/', '/\\evil.example/', 'https://evil.example/'])('%s is nowhere to go after signing in', async (next) => {
  signedOut().on('POST /v1/sessions', { subject: 'operator', role: 'admin' });
  const { router } = renderConsole(`/sign-in?next=${encodeURIComponent(next)}`);
  await give('tga_secret');
  await screen.findByRole('heading', { level: 1, name: 'Fleet default' });
  expect(router.state.location.pathname).toBe('/fleets/default');
});

test('signing out ends the session and asks for a token again', async () => {
  const server = signedOut().on('GET /v1/sessions/current', { subject: 'operator', role: 'admin' });
  server.on('DELETE /v1/sessions/current', () => {
    server.on('GET /v1/sessions/current', () => problem(401, 'Who is calling is not known'));
    return Response.json({});
  });
  renderConsole('/fleets/default');
  await userEvent.click(await screen.findByRole('button', { name: 'operator' }));
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Sign out' }));
  await screen.findByLabelText('Admin token');
  await waitFor(() => expect(screen.queryByRole('heading', { name: 'Fleet default' })).toBeNull());
});
