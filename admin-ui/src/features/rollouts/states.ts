import type { Rollout, RolloutCommand, Step } from '@/api/rollouts';
import { duration, instant, parseDuration } from '@/format/time';
import { count, percent, plural } from '@/format/number';

const ended = new Set(['completed', 'rolled_back', 'aborted', 'superseded']);

/** The states that a list of rollouts can be narrowed to. */
export const rolloutStates = ['queued', 'running', 'paused', 'awaiting_approval', 'held', 'completed', 'rolled_back', 'aborted', 'superseded'] as const;

export type RolloutState = (typeof rolloutStates)[number];

/** Nothing more will happen to it. */
export function hasEnded(rollout: Rollout): boolean {
  return ended.has(rollout.state ?? '');
}

/** What a person can tell a rollout in each state. The API refuses all else. */
const commands: Record<string, RolloutCommand[]> = {
  queued: ['abort'],
  running: ['pause', 'promote', 'promote-fully', 'abort'],
  paused: ['resume', 'promote', 'promote-fully', 'abort'],
  awaiting_approval: ['approve', 'abort'],
  held: ['resume', 'promote', 'promote-fully', 'abort'],
};

export function commandsFor(rollout: Rollout): RolloutCommand[] {
  return commands[rollout.state ?? ''] ?? [];
}

/** What every plan ends with: all agents, all of their traffic. */
const everything: Step = { agents_percent: 100, traffic_percent: 100, minimum_samples: 0 };

/**
 * The steps as the control plane takes them. The first revision ever has nothing to be compared with and goes to all agents at
 * once; a strategy that does not end with everything gets such a step.
 */
export function stepsOf(rollout: Rollout): Step[] {
  if ((rollout.stable_revision ?? 0) === 0) return [everything];
  const steps = rollout.spec?.steps ?? [];
  const last = steps.at(-1);
  return last?.agents_percent === 100 && last.traffic_percent === 100 ? steps : [...steps, everything];
}

/** How a step stands to where the rollout is. */
export type StepProgress = 'done' | 'current' | 'failed' | 'ahead' | 'skipped';

export function stepProgress(rollout: Rollout, index: number): StepProgress {
  const present = rollout.step ?? 0;
  switch (rollout.state) {
    case 'completed':
      return 'done';
    case 'queued':
      return 'ahead';
    case 'rolled_back':
    case 'aborted':
      if (index === present) return 'failed';
      return index < present ? 'done' : 'skipped';
    case 'superseded':
      return index < present ? 'done' : 'skipped';
    default:
      if (index === present) return 'current';
      return index < present ? 'done' : 'ahead';
  }
}

/** The two dials of a step: "1 agent · 10 %". */
export function stepDials(step: Step): string {
  return `${stepAgents(step)} · ${percent(step.traffic_percent)} of traffic`;
}

function stepAgents(step: Step): string {
  if ((step.agents ?? 0) > 0) return plural(step.agents ?? 0, 'agent');
  return step.agents_percent === 100 ? 'all agents' : `${percent(step.agents_percent)} of agents`;
}

/** How long a step is watched: "15 s", or "15 s and 200 requests". */
export function stepBake(step: Step): string {
  const bake = parseDuration(step.bake);
  if (bake === 0) return 'until all agents serve it';
  const samples = step.minimum_samples ?? 200;
  return samples === 0 ? duration(bake) : `${duration(bake)}, ${count(samples)} requests`;
}

/**
 * How much of the bake has passed, 0 to 1, and what is left in milliseconds; undefined while no clock runs. The clock of a step
 * begins when all of its agents serve it, which is when the API first says when it ends.
 */
export function bakeProgress(rollout: Rollout, now: number): { done: number; left: number } | undefined {
  const end = instant(rollout.bake_end_time);
  const bake = parseDuration(stepsOf(rollout)[rollout.step ?? 0]?.bake);
  if (rollout.state !== 'running' || end === undefined || bake === 0) return undefined;
  const left = Math.min(bake, Math.max(0, end - now));
  return { done: 1 - left / bake, left };
}
