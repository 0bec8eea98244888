import type { Rollout, RolloutCommand, Step } from '@/api/rollouts';
import { duration, parseDuration } from '@/format/time';
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
  awaiting_approval: ['approve', 'promote-fully', 'abort'],
  held: ['resume', 'promote', 'promote-fully', 'abort'],
};

export function commandsFor(rollout: Rollout): RolloutCommand[] {
  return commands[rollout.state ?? ''] ?? [];
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
  if (bake === 0) return 'not watched';
  const samples = step.minimum_samples ?? 200;
  return samples === 0 ? duration(bake) : `${duration(bake)}, ${count(samples)} requests`;
}

/** How much of the bake has passed, 0 to 1, and what is left in milliseconds; undefined when no clock runs. */
export function bakeProgress(rollout: Rollout, now: number): { done: number; left: number } | undefined {
  const begin = Date.parse(rollout.step_time ?? '');
  const end = Date.parse(rollout.bake_end_time ?? '');
  if (rollout.state !== 'running' || Number.isNaN(begin) || Number.isNaN(end) || end <= begin) return undefined;
  return { done: Math.min(1, Math.max(0, (now - begin) / (end - begin))), left: Math.max(0, end - now) };
}
