import { expect, test } from 'vitest';
import { troubledFirst } from './trouble';

test('agents with trouble come first, and the others as people count', () => {
  const agents = [
    { name: 'agent-10', state: 'connected' },
    { name: 'agent-9', state: 'connected' },
    { name: 'agent-8', state: 'draining' },
    { name: 'agent-7', state: 'connected', error: 'routes/orders: cannot be compiled' },
    { name: 'agent-6', state: 'lost' },
  ];
  expect(troubledFirst(agents).map((agent) => agent.name)).toEqual(['agent-6', 'agent-7', 'agent-8', 'agent-9', 'agent-10']);
});
