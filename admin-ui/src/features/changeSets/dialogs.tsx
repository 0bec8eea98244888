import { notifications } from '@mantine/notifications';
import { abandonChangeSet, approveChangeSet, type ChangeSet, rebaseChangeSet } from '@/api/changeSets';
import { ReasonDialog } from '@/components/ReasonDialog';
import { useChangeSetWrite } from './useChangeSetWrite';

export interface ChangeSetDialogProps {
  fleet: string;
  changeSet: ChangeSet;
  deletesRoutes: boolean;
  onClose: () => void;
}

export function ApproveDialog({ fleet, changeSet, onClose }: ChangeSetDialogProps) {
  const approve = useChangeSetWrite(fleet, changeSet, approveChangeSet, () => {
    onClose();
    notifications.show({ color: 'teal', message: 'Your approval is noted' });
  });
  return (
    <ReasonDialog
      title="Approve the change set"
      consequence="You say that it may be published as it is now. If somebody edits it, your approval is gone."
      confirm="Approve"
      question={{ label: 'Comment', description: 'What others should know' }}
      pending={approve.isPending}
      error={approve.error}
      onConfirm={(comment) => approve.mutate(comment)}
      onClose={onClose}
    />
  );
}

export function RebaseDialog({ fleet, changeSet, onClose }: ChangeSetDialogProps) {
  const rebase = useChangeSetWrite(fleet, changeSet, rebaseChangeSet, () => {
    onClose();
    notifications.show({ color: 'teal', message: 'It stands on what is published now' });
  });
  return (
    <ReasonDialog
      title="Rebase the change set"
      consequence="It is moved to what is published now, if nothing that it writes or refers to changed meanwhile."
      confirm="Rebase"
      question={null}
      pending={rebase.isPending}
      error={rebase.error}
      onConfirm={() => rebase.mutate(undefined)}
      onClose={onClose}
    />
  );
}

export function AbandonDialog({ fleet, changeSet, onClose }: ChangeSetDialogProps) {
  const abandon = useChangeSetWrite(fleet, changeSet, abandonChangeSet, () => {
    onClose();
    notifications.show({ color: 'teal', message: 'It is given up' });
  });
  return (
    <ReasonDialog
      title="Abandon the change set"
      consequence="Nobody can edit or publish it any more. It can still be read."
      confirm="Abandon"
      question={null}
      dangerous
      pending={abandon.isPending}
      error={abandon.error}
      onConfirm={() => abandon.mutate(undefined)}
      onClose={onClose}
    />
  );
}
