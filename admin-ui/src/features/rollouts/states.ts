import type { Rollout, Step } from '@/api/rollouts';
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

/** A step as it is taken; a shadow step is one too. */
export interface TakenStep extends Step {
  /** In percent: the candidate decides beside so many requests, and serves none. */
  shadow_percent?: number;
}

/**
 * The steps as the control plane counts them. The API tells a strategy as it is taken; its shadow, with the agents of the first
 * step, comes before all others, unless there is only one.
 */
export function stepsOf(rollout: Rollout): TakenStep[] {
  const steps = rollout.spec?.steps ?? [];
  const shadow = rollout.spec?.shadow;
  const first = steps[0];
  if (!shadow || !first || steps.length === 1) return steps;
  const { agents, agents_percent, agent_labels } = first;
  const { bake = '15s', minimum_samples, sample_percent = 10 } = shadow;
  return [{ agents, agents_percent, agent_labels, bake, minimum_samples, traffic_percent: 0, shadow_percent: sample_percent }, ...steps];
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

/** The two dials of a step: "1 agent · 10 % of traffic". */
export function stepDials(step: TakenStep): string {
  if (step.shadow_percent !== undefined) return `${stepAgents(step)} · shadow of ${percent(step.shadow_percent)}`;
  return `${stepAgents(step)} · ${percent(step.traffic_percent)} of traffic`;
}

function stepAgents(step: Step): string {
  const labels = Object.entries(step.agent_labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const named = labels.length === 0 ? '' : ` with ${labels.join(', ')}`;
  return unnamedAgents(step) + named;
}

function unnamedAgents(step: Step): string {
  if ((step.agents ?? 0) > 0) return plural(step.agents ?? 0, 'agent');
  return step.agents_percent === 100 ? 'all agents' : `${percent(step.agents_percent)} of agents`;
}

/** How long a step is watched: "15 s", or "15 s and 200 requests". */
export function stepBake(step: TakenStep): string {
  const bake = parseDuration(step.bake);
  if (bake === 0) return 'until all agents serve it';
  const samples = step.minimum_samples ?? 200;
  return samples === 0 ? duration(bake) : `${duration(bake)}, ${count(samples)} ${step.shadow_percent === undefined ? 'requests' : 'samples'}`;
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
