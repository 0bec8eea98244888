import type { Agent } from '@/api/agents';

/** How much an agent wants to be looked at: the less, the sooner it is shown. */
function rank({ state, error }: Agent): number {
  if (state === 'lost') return 0;
  if (error !== undefined && error !== '') return 1;
  return state === 'connected' ? 3 : 2;
}

/** Agents in the order in which people look for them: those with trouble, then by name as people count. */
export function troubledFirst(agents: Agent[]): Agent[] {
  return agents.toSorted((a, b) => rank(a) - rank(b) || (a.name ?? '').localeCompare(b.name ?? '', 'en', { numeric: true }));
}
