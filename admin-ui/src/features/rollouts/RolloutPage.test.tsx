import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test } from 'vitest';
import type { Rollout } from '@/api/rollouts';
import { renderConsole } from '@/testing/render';
import { FakeServer, pieces, problem } from '@/testing/server';

const path = '/v1/fleets/default/rollouts/7';

const running: Rollout = {
  id: '7',
  revision: 4,
  stable_revision: 3,
  state: 'running',
  possible_commands: ['pause', 'promote', 'promote_full', 'abort'],
  step: 1,
  strategy: 'canary-then-all',
  create_time: new Date().toISOString(),
  candidate_agents: 3,
  total_agents: 3,
  traffic_percent: 50,
  author: 'operator',
  message: 'Orders: a new upstream',
  spec: {
    steps: [
      { agents: 1, traffic_percent: 10, bake: '15s' },
      { agents_percent: 100, traffic_percent: 50, bake: '15s' },
      { agents_percent: 100, traffic_percent: 100, bake: '0s' },
    ],
  },
};

const rolledBack: Rollout = {
  ...running,
  state: 'rolled_back',
  possible_commands: [],
  reason: 'upstream_5xx of route orders: 12 of 40 against 0 of 38',
  end_time: new Date().toISOString(),
  evidence: [
    { metric: 'upstream_5xx', route: 'orders', candidate_bad: '12', candidate_total: '40', control_total: '38', evidence: 9000, threshold: 8000, verdict: 'fail' },
  ],
};

function serverWith(rollout: Rollout, role = 'admin'): FakeServer {
  return new FakeServer()
    .on('GET /v1/sessions/current', { subject: 'operator', role })
    .on('GET /v1/fleets', { fleets: [{ name: 'default' }] })
    .on('GET /v1/fleets/default', { name: 'default' })
    .on('POST /v1/fleets/default/telemetry:query', {})
    .on(`GET ${path}`, rollout)
    .listen();
}

/** A stream that says these and stays open. */
function stream(...rollouts: Rollout[]): () => Response {
  return () => {
    const body = pieces(rollouts.map((result) => `${JSON.stringify({ result })}\n`)).pipeThrough(new TransformStream({ flush: () => new Promise(() => undefined) }));
    return new Response(body, { headers: { 'content-type': 'application/x-ndjson' } });
  };
}

test('a rollout is watched to its end, with the evidence that ended it', async () => {
  serverWith(running).on(`GET ${path}:watch`, stream(running, rolledBack));
  renderConsole('/fleets/default/rollouts/7');
  expect(await screen.findByText('rolled back')).toBeVisible();
  expect(screen.getAllByText(/12 of 40 against 0 of 38/)[0]).toBeVisible();
  const evidence = screen.getByRole('table', { name: 'Evidence' });
  expect(within(evidence).getByText('5xx from the upstream')).toBeVisible();
  expect(within(evidence).getByRole('meter')).toHaveAttribute('aria-valuetext', '9,000 of 8,000');
  expect(within(evidence).getByText('fail')).toBeVisible();
  expect(screen.queryByRole('button', { name: 'Abort' })).toBeNull();
});

test('the present step is marked, and the dials stand beside it', async () => {
  serverWith(running).on(`GET ${path}:watch`, stream(running));
  renderConsole('/fleets/default/rollouts/7');
  const steps = within(await screen.findByRole('list', { name: 'Steps' })).getAllByRole('listitem');
  expect(steps.map((step) => step.getAttribute('data-progress'))).toEqual(['done', 'current', 'ahead']);
  expect(steps[1]).toHaveAttribute('aria-current', 'step');
  expect(screen.getByText('3 of 3')).toBeVisible();
  expect(await screen.findByText('live')).toBeVisible();
});

test('without a stream it is asked for again and again', async () => {
  const server = serverWith(running).on(`GET ${path}:watch`, () => problem(503, 'No streams now'));
  renderConsole('/fleets/default/rollouts/7');
  expect(await screen.findByText('each second')).toBeVisible();
  server.on(`GET ${path}`, rolledBack);
  expect(await screen.findByText('rolled back')).toBeVisible();
});

test('aborting asks for a reason, and sends it once with a key of its own', async () => {
  const server = serverWith(running).on(`GET ${path}:watch`, stream(running));
  server.on(`POST ${path}:abort`, { ...running, state: 'aborted' });
  renderConsole('/fleets/default/rollouts/7');
  await userEvent.click(await screen.findByRole('button', { name: 'Abort' }));
  const dialog = await screen.findByRole('dialog', { name: 'Abort the rollout of revision 4' });
  await userEvent.type(within(dialog).getByLabelText('Reason'), 'customers call');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Abort' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  const sent = server.requests.filter((request) => request.path === `${path}:abort`);
  expect(sent).toHaveLength(1);
  expect(sent[0]?.body).toEqual({ reason: 'customers call' });
  expect(sent[0]?.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
  await waitFor(() => expect(screen.getByRole('button', { name: 'Abort' })).toHaveFocus());
});

test('a command that is refused says why, and keeps what was written', async () => {
  const server = serverWith(running).on(`GET ${path}:watch`, stream(running));
  server.on(`POST ${path}:promote`, () => problem(409, 'Not in this state', { detail: 'rollout 7 is completed: cannot promote' }));
  renderConsole('/fleets/default/rollouts/7');
  await userEvent.click(await screen.findByRole('button', { name: 'Promote' }));
  const dialog = await screen.findByRole('dialog');
  await userEvent.type(within(dialog).getByLabelText('Reason'), 'looks good');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Promote' }));
  expect(await within(dialog).findByText(/cannot promote/)).toBeVisible();
  expect(within(dialog).getByLabelText('Reason')).toHaveValue('looks good');
});

test('a viewer watches and has no buttons', async () => {
  serverWith(running, 'viewer').on(`GET ${path}:watch`, stream(running));
  renderConsole('/fleets/default/rollouts/7');
  expect(await screen.findByText('Your role can watch rollouts, not steer them.')).toBeVisible();
  expect(screen.queryByRole('button', { name: 'Pause' })).toBeNull();
});

test('the buttons are what the API says is possible, and nothing else', async () => {
  const held: Rollout = { ...running, state: 'held', possible_commands: ['abort', 'approve', 'teleport'] };
  serverWith(held).on(`GET ${path}:watch`, stream(held));
  renderConsole('/fleets/default/rollouts/7');
  const group = await screen.findByRole('group', { name: 'Steer the rollout' });
  expect(within(group).getAllByRole('button').map((button) => button.textContent)).toEqual(['Approve', 'Abort']);
});

test('a shadow tells what would be decided otherwise, and how to say that it is meant', async () => {
  const shadow = {
    sampled: '10000',
    different: '37',
    differences: [
      { requests: '37', stable_route: 'orders', stable_decision: 'service orders', candidate_route: 'orders', candidate_decision: 'key_missing', example: 'GET /orders/1' },
    ],
    proposals: [{ route: 'orders', reason: 'key_missing', max_percent: 1 }],
  };
  const shadowed: Rollout = { ...running, step: 0, spec: { ...running.spec, shadow: { sample_percent: 10, bake: '15s' } }, shadow };
  serverWith(shadowed).on(`GET ${path}:watch`, stream(shadowed));
  renderConsole('/fleets/default/rollouts/7');
  const section = await screen.findByRole('region', { name: 'Shadow' });
  expect(within(section).getByText('37 of 10,000 sampled requests would be decided otherwise')).toBeVisible();
  const row = within(section).getAllByRole('row')[1];
  expect(row).toHaveTextContent('37service orders on route orderskey missing on route ordersGET /orders/1');
  expect(within(section).getByText('--expect orders:key_missing:1')).toBeVisible();
  const steps = within(screen.getByRole('list', { name: 'Steps' })).getAllByRole('listitem');
  expect(steps).toHaveLength(4);
  expect(steps[0]).toHaveTextContent('1 agent · shadow of 10 %');
});

test('gates say their verdict, and which of them only report', async () => {
  const gated: Rollout = {
    ...running,
    spec: { ...running.spec, gates: [{ name: 'checkout', required: true }] },
    gates: [
      { name: 'checkout', verdict: 'inconclusive', explanation: 'Prometheus does not answer' },
      { name: 'review', verdict: 'fail', dry_run: true, explanation: 'not on a Friday' },
    ],
    expectations: [{ route: 'orders', reason: 'key_missing', max_percent: 5 }],
  };
  serverWith(gated).on(`GET ${path}:watch`, stream(gated));
  renderConsole('/fleets/default/rollouts/7');
  const rows = within(await screen.findByRole('table', { name: 'Gates' })).getAllByRole('row');
  expect(rows[1]).toHaveTextContent('checkoutrequiredPrometheus does not answer');
  expect(rows[2]).toHaveTextContent('reviewdry runnot on a Friday');
  expect(rows[2]).not.toHaveAttribute('data-verdict');
  expect(screen.getByRole('list', { name: 'Expectations' })).toHaveTextContent('key missing on route orders for up to 5 % of its requests');
});

test('a strategy without shadow and gates has no boxes for them', async () => {
  serverWith(running).on(`GET ${path}:watch`, stream(running));
  renderConsole('/fleets/default/rollouts/7');
  await screen.findByRole('list', { name: 'Steps' });
  for (const name of ['Shadow', 'Gates', 'Expectations']) expect(screen.queryByRole('region', { name })).toBeNull();
});
