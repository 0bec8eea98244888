import { IconArrowBackUp, IconCheck, IconPlayerPause, IconPlayerPlay, IconPlayerSkipForward, IconPlayerTrackNext, type TablerIcon } from '@tabler/icons-react';
import type { Rollout, RolloutCommand } from '@/api/rollouts';

interface CommandLook {
  label: string;
  /** What will happen, said before it does. */
  consequence: string;
  icon: TablerIcon;
  variant: 'default' | 'light' | 'filled';
  color?: string;
}

export const commandLooks: Record<RolloutCommand, CommandLook> = {
  pause: {
    label: 'Pause',
    consequence: 'The clock of the step stops; both dials stay where they are. The gates go on judging, and may still take the candidate back.',
    icon: IconPlayerPause,
    variant: 'default',
  },
  resume: { label: 'Resume', consequence: 'The clock of the step goes on.', icon: IconPlayerPlay, variant: 'filled' },
  promote: {
    label: 'Promote',
    consequence: 'The next step begins at once, without waiting for the rest of this one.',
    icon: IconPlayerSkipForward,
    variant: 'default',
  },
  promote_full: {
    label: 'Promote fully',
    consequence: 'All agents serve the candidate with all of their traffic at once. There is no control group after that, so nothing takes it back by itself.',
    icon: IconPlayerTrackNext,
    variant: 'default',
  },
  approve: { label: 'Approve', consequence: 'The step that waits for a person begins.', icon: IconCheck, variant: 'filled' },
  abort: {
    label: 'Abort',
    consequence: 'The candidate is taken back on every agent, its revision is rejected, and its changes are undone on the head of the fleet.',
    icon: IconArrowBackUp,
    variant: 'light',
    color: 'red',
  },
};

/** In which order the buttons stand. */
const commands: RolloutCommand[] = ['approve', 'pause', 'resume', 'promote', 'promote_full', 'abort'];

/** What the API says can be asked of a rollout now; a command that this console does not know yet has no button. */
export function possibleCommands(rollout: Rollout): RolloutCommand[] {
  const possible = new Set(rollout.possible_commands);
  return commands.filter((command) => possible.has(command));
}
