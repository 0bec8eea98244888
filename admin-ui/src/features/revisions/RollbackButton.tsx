import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { fleetQuery } from '@/api/fleets';
import { type PublishResponse, type Revision, rollbackTo } from '@/api/revisions';
import { mayWrite, sessionQuery } from '@/api/session';
import { ReasonDialog } from '@/components/ReasonDialog';
import { count } from '@/format/number';

interface RollbackButtonProps {
  fleet: string;
  revision: Revision;
}

/** Goes back to a revision; the present one offers nothing. */
export function RollbackButton({ fleet, revision }: RollbackButtonProps) {
  const [asked, setAsked] = useState(false);
  const { data: session } = useQuery(sessionQuery);
  const { data: head } = useQuery(fleetQuery(fleet));
  const number = revision.number ?? 0;
  if (!mayWrite(session) || head === undefined || head.head_revision === number) return null;
  return (
    <>
      <Button variant="default" leftSection={<IconArrowBackUp size={14} aria-hidden />} onClick={() => setAsked(true)}>
        Roll back to this
      </Button>
      {asked && <RollbackDialog fleet={fleet} number={number} rejected={revision.state === 'rejected'} onClose={() => setAsked(false)} />}
    </>
  );
}

interface RollbackDialogProps {
  fleet: string;
  number: number;
  /** Its own rollout failed. */
  rejected: boolean;
  onClose: () => void;
}

function RollbackDialog({ fleet, number, rejected, onClose }: RollbackDialogProps) {
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const rollback = useMutation({
    mutationFn: (reason: string) => rollbackTo(fleet, number, reason),
    onSuccess: async (made: PublishResponse) => {
      onClose();
      await queryClient.invalidateQueries({ queryKey: ['fleets', fleet] });
      notifications.show({ color: 'teal', message: told(made) });
      const rollout = made.rollout ?? '';
      if (rollout !== '') await navigate({ to: '/fleets/$fleet/rollouts/$rollout', params: { fleet, rollout } });
    },
  });
  return (
    <ReasonDialog
      title={`Roll back to revision ${count(number)}`}
      consequence={consequence(number, rejected)}
      confirm="Roll back"
      dangerous
      pending={rollback.isPending}
      error={rollback.error}
      onConfirm={(reason) => rollback.mutate(reason)}
      onClose={onClose}
    />
  );
}

function consequence(number: number, rejected: boolean): string {
  const warning = rejected ? ` Beware: revision ${count(number)} was rejected by its own rollout, and nothing compares it this time.` : '';
  return `A new revision with the content of revision ${count(number)} is published, and goes to all agents at once, without steps. Consumers and keys stay as they are.${warning}`;
}

function told(made: PublishResponse): string {
  const revision = made.revision ?? 0;
  return revision === 0 ? 'The head holds that content already; nothing was published' : `Revision ${count(revision)} is on its way`;
}
