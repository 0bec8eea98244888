import { screen, within } from '@testing-library/react';
import { expect, test } from 'vitest';
import type { Agent } from '@/api/agents';
import { renderConsole } from '@/testing/render';
import { FakeServer, problem } from '@/testing/server';

function fleetWith(agents: Agent[]): FakeServer {
  return new FakeServer()
    .on('GET /v1/sessions/current', { subject: 'operator', role: 'admin' })
    .on('GET /v1/fleets', { fleets: [{ name: 'default' }] })
    .on('GET /v1/fleets/default', { name: 'default', head_revision: 4, stable_revision: 3, agents_connected: 1, agents_total: 2, active_rollout: '9' })
    .on('GET /v1/fleets/default/agents', { agents })
    .listen();
}

test('each agent says what it serves, and what it is on the way to', async () => {
  fleetWith([
    { id: '1', name: 'agent-1', state: 'connected', applied_stable_revision: 3, desired_stable_revision: 3, desired_candidate_revision: 4, candidate_percent: 10 },
    { id: '2', name: 'agent-2', state: 'lost', applied_stable_revision: 3, desired_stable_revision: 3, error: 'plugins/limit: config.per is no duration' },
  ]);
  renderConsole('/fleets/default');
  const row = (await screen.findByText('agent-1')).closest('tr');
  if (!row) throw new Error('agent-1 stands in no row');
  expect(within(row).getByText('connected')).toBeVisible();
  expect(within(row).getByText('10 %')).toBeVisible();
  expect(within(row).getByLabelText('on the way to')).toBeInTheDocument();
  expect(screen.getByText('lost')).toBeVisible();
  expect(screen.getByText('plugins/limit: config.per is no duration')).toBeVisible();
  expect(await screen.findByText('1 of 2')).toBeVisible();
});

test('every page leads to the rollout that is under way', async () => {
  fleetWith([]);
  renderConsole('/fleets/default');
  expect(await screen.findByRole('link', { name: 'rolling out' })).toHaveAttribute('href', '/fleets/default/rollouts/9');
});

test('a fleet without agents says how one joins', async () => {
  fleetWith([]);
  renderConsole('/fleets/default');
  expect(await screen.findByText('No agent has joined this fleet yet')).toBeVisible();
  expect(screen.getByText('tidegate agent join-token')).toBeVisible();
});

test('a failure says what was tried, and the request to look for', async () => {
  fleetWith([]).on('GET /v1/fleets/default/agents', () => problem(403, 'Not allowed', { detail: 'the role viewer cannot do this' }));
  renderConsole('/fleets/default');
  expect(await screen.findByText('Loading agents failed')).toBeVisible();
  expect(screen.getByText('Not allowed: the role viewer cannot do this')).toBeVisible();
});

test('the policy says who must approve, when nothing is published, and who is told', async () => {
  const policy = {
    approvals: { medium: 1, high: 2 },
    freeze_windows: [{ name: 'weekend', days: ['fri', 'sat'], from: '18:00', to: '08:00', time_zone: 'Europe/Berlin' }],
    notifications: [{ name: 'chat', url: 'https://hooks.example.com/T0/B0/secret', format: 'slack', events: ['completed', 'rolled_back'] }],
    newer_revision: 'supersede',
  };
  fleetWith([]).on('GET /v1/fleets/default', { name: 'default', policy });
  renderConsole('/fleets/default');
  const section = await screen.findByRole('region', { name: 'Policy' });
  expect(section).toHaveTextContent('1 for medium risk, 2 for high risk');
  expect(section).toHaveTextContent('weekend fri, sat 18:00–08:00 Europe/Berlin');
  expect(section).toHaveTextContent('chat hooks.example.com, about completed, rolled back');
  expect(section).not.toHaveTextContent('secret');
});

test('a fleet without a policy says what holds then', async () => {
  fleetWith([]);
  renderConsole('/fleets/default');
  const section = await screen.findByRole('region', { name: 'Policy' });
  expect(section).toHaveTextContent('Approvalsnone');
  expect(section).toHaveTextContent('more than 50 % at once must be said');
  expect(section).toHaveTextContent('without steps by up to 10 revisions');
});
