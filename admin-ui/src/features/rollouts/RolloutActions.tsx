import { Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { commandRollout, type Rollout, type RolloutCommand, rolloutQuery } from '@/api/rollouts';
import { mayWrite, sessionQuery } from '@/api/session';
import { ReasonDialog } from '@/components/ReasonDialog';
import { count } from '@/format/number';
import { commandLooks, possibleCommands } from './commands';

interface RolloutActionsProps {
  fleet: string;
  rollout: Rollout;
}

/** What can be done to a rollout now, each with a reason and a yes. */
export function RolloutActions({ fleet, rollout }: RolloutActionsProps) {
  const { data: session } = useQuery(sessionQuery);
  const [asked, setAsked] = useState<RolloutCommand>();
  const available = possibleCommands(rollout);
  if (available.length === 0) return null;
  if (session && !mayWrite(session)) {
    return (
      <Text size="xs" c="dimmed">
        Your role can watch rollouts, not steer them.
      </Text>
    );
  }
  return (
    <>
      <Group gap="xs" role="group" aria-label="Steer the rollout">
        {available.map((command) => {
          const { label, color, variant, icon: Icon } = commandLooks[command];
          return (
            <Button key={command} variant={variant} color={color} leftSection={<Icon size={14} aria-hidden />} onClick={() => setAsked(command)}>
              {label}
            </Button>
          );
        })}
      </Group>
      {asked && <CommandDialog fleet={fleet} rollout={rollout} command={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}

interface CommandDialogProps extends RolloutActionsProps {
  command: RolloutCommand;
  onClose: () => void;
}

function CommandDialog({ fleet, rollout, command, onClose }: CommandDialogProps) {
  const queryClient = useQueryClient();
  const look = commandLooks[command];
  const send = useMutation({
    mutationFn: (reason: string) => commandRollout(fleet, rollout.id ?? '', command, reason),
    onSuccess: async () => {
      onClose();
      notifications.show({ color: 'teal', message: `${look.label}: told the rollout of revision ${count(rollout.revision)}` });
      await queryClient.invalidateQueries({ queryKey: rolloutQuery(fleet, rollout.id ?? '').queryKey });
    },
  });
  return (
    <ReasonDialog
      title={`${look.label} the rollout of revision ${count(rollout.revision)}`}
      consequence={look.consequence}
      confirm={look.label}
      dangerous={command === 'abort'}
      pending={send.isPending}
      error={send.error}
      onConfirm={(reason) => send.mutate(reason)}
      onClose={onClose}
    />
  );
}
