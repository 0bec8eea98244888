import { Badge } from '@mantine/core';
import classes from './StateBadge.module.css';

interface Look {
  color: string;
  words: string;
  /** Something is going on: the dot breathes. */
  busy?: boolean;
}

/** Every state that the API names: of resources, revisions, rollouts, change sets, risks, agents and verdicts. */
const looks: Record<string, Look> = {
  serving: { color: 'teal', words: 'serving' },
  rolling_out: { color: 'blue', words: 'rolling out', busy: true },
  pending: { color: 'gray', words: 'pending' },
  rejected: { color: 'red', words: 'rejected' },
  superseded: { color: 'gray', words: 'superseded' },

  queued: { color: 'gray', words: 'queued' },
  running: { color: 'blue', words: 'running', busy: true },
  paused: { color: 'yellow', words: 'paused' },
  awaiting_approval: { color: 'violet', words: 'awaiting approval' },
  held: { color: 'orange', words: 'held' },
  completed: { color: 'teal', words: 'completed' },
  rolled_back: { color: 'red', words: 'rolled back' },
  aborted: { color: 'red', words: 'aborted' },

  open: { color: 'blue', words: 'open' },
  published: { color: 'teal', words: 'published' },
  abandoned: { color: 'gray', words: 'abandoned' },

  low: { color: 'teal', words: 'low risk' },
  medium: { color: 'yellow', words: 'medium risk' },
  high: { color: 'red', words: 'high risk' },

  connected: { color: 'teal', words: 'connected' },
  lost: { color: 'red', words: 'lost' },
  draining: { color: 'yellow', words: 'draining', busy: true },
  disconnected: { color: 'gray', words: 'disconnected' },

  refused: { color: 'red', words: 'refused' },
  dropped: { color: 'red', words: 'dropped it' },
  pass: { color: 'teal', words: 'pass' },
  fail: { color: 'red', words: 'fail' },
  inconclusive: { color: 'gray', words: 'inconclusive' },
};

/** The words of a state; one that this console does not know yet is shown as it is. */
export function stateWords(state: string | undefined): string {
  return looks[state ?? '']?.words ?? (state ?? '').replaceAll('_', ' ');
}

/** A state, by colour and by word: the word alone says everything. */
export function StateBadge({ state }: { state: string | undefined }) {
  if (state === undefined || state === '') return null;
  const look = looks[state];
  const dot = <span className={classes['dot']} data-busy={look?.busy ?? false} aria-hidden />;
  return (
    <Badge color={look?.color ?? 'gray'} leftSection={dot} className={classes['badge']} data-state={state}>
      {stateWords(state)}
    </Badge>
  );
}
