import { expect, test } from 'vitest';
import type { Rollout } from '@/api/rollouts';
import { bakeProgress, stepBake, stepDials, stepProgress, stepsOf } from './states';

const canary = { agents: 1, traffic_percent: 10, bake: '15s' };
const half = { agents_percent: 100, traffic_percent: 50, bake: '15s' };
const all = { agents_percent: 100, traffic_percent: 100, bake: '0s' };

function rollout(more: Partial<Rollout>): Rollout {
  return { state: 'running', stable_revision: 1, step: 1, spec: { steps: [canary, half, all] }, ...more };
}

test.each([
  { state: 'queued', marks: ['ahead', 'ahead', 'ahead'] },
  { state: 'running', marks: ['done', 'current', 'ahead'] },
  { state: 'paused', marks: ['done', 'current', 'ahead'] },
  { state: 'completed', marks: ['done', 'done', 'done'] },
  { state: 'rolled_back', marks: ['done', 'failed', 'skipped'] },
  { state: 'aborted', marks: ['done', 'failed', 'skipped'] },
  { state: 'superseded', marks: ['done', 'skipped', 'skipped'] },
])('the steps of one that is $state', ({ state, marks }) => {
  expect([0, 1, 2].map((index) => stepProgress(rollout({ state }), index))).toEqual(marks);
});

test('the steps are those that the API tells', () => {
  expect(stepsOf(rollout({}))).toEqual([canary, half, all]);
});

test('a shadow comes before the first step, with its agents and no traffic', () => {
  const spec = { steps: [canary, half, all], shadow: { sample_percent: 20, bake: '30s', minimum_samples: 50 } };
  const steps = stepsOf(rollout({ spec }));
  expect(steps).toHaveLength(4);
  expect(steps.slice(1)).toEqual([canary, half, all]);
  expect(stepDials(steps[0] ?? {})).toBe('1 agent · shadow of 20 %');
  expect(stepBake(steps[0] ?? {})).toBe('30 s, 50 samples');
});

test('a rollout of one step has no shadow', () => {
  expect(stepsOf(rollout({ spec: { steps: [all], shadow: { sample_percent: 20 } } }))).toEqual([all]);
});

test('a step of some agents says which', () => {
  expect(stepDials({ agents_percent: 100, agent_labels: { region: 'eu' }, traffic_percent: 20 })).toBe('all agents with region=eu · 20 % of traffic');
});

test('the bake runs from when its agents serve the step', () => {
  const end = Date.parse('2026-11-23T12:00:15Z');
  const running = rollout({ bake_end_time: '2026-11-23T12:00:15Z' });
  expect(bakeProgress(running, end - 15_000)).toEqual({ done: 0, left: 15_000 });
  expect(bakeProgress(running, end - 3_000)).toEqual({ done: 0.8, left: 3_000 });
  expect(bakeProgress(running, end + 60_000)).toEqual({ done: 1, left: 0 });
});

test('no clock runs while it is paused, or while agents do not serve the step yet', () => {
  expect(bakeProgress(rollout({ state: 'paused', bake_end_time: '2026-11-23T12:00:15Z' }), 0)).toBeUndefined();
  expect(bakeProgress(rollout({}), 0)).toBeUndefined();
});
