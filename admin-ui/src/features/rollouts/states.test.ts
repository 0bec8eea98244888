import { expect, test } from 'vitest';
import type { Rollout } from '@/api/rollouts';
import { bakeProgress, commandsFor, rolloutStates, stepProgress, stepsOf } from './states';

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

test.each([
  { name: 'as the strategy says, if it ends with everything', given: rollout({}), count: 3 },
  { name: 'and everything at the end, if the strategy does not say so', given: rollout({ spec: { steps: [canary, half] } }), count: 3 },
  { name: 'one, for the first revision ever', given: rollout({ stable_revision: undefined }), count: 1 },
])('steps are $name', ({ given, count }) => {
  const steps = stepsOf(given);
  expect(steps).toHaveLength(count);
  expect(steps.at(-1)).toMatchObject({ agents_percent: 100, traffic_percent: 100 });
});

test('one that has ended takes no commands, any other can be aborted', () => {
  for (const state of rolloutStates) {
    const commands = commandsFor(rollout({ state }));
    const over = ['completed', 'rolled_back', 'aborted', 'superseded'].includes(state);
    expect(commands.includes('abort'), state).toBe(!over);
  }
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
