import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { type SyntheticEvent, useLayoutEffect, useState } from 'react';
import { Failure } from './Notice';

/** The API takes no longer reason. */
const LONGEST_REASON = 1024;

interface ReasonDialogProps {
  title: string;
  /** What will happen, before it does. */
  consequence: string;
  confirm: string;
  /** It takes something away from users of the gateway. */
  dangerous?: boolean;
  pending: boolean;
  error: Error | null;
  onConfirm: (reason: string) => void;
  onClose: () => void;
}

/** Asks for a reason, which the audit keeps, and for a yes. Mount it to open it; it forgets everything when it is gone. */
export function ReasonDialog({ title, consequence, confirm, dangerous = false, pending, error, onConfirm, onClose }: ReasonDialogProps) {
  const [reason, setReason] = useState('');
  useFocusBack();
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onConfirm(reason.trim());
  };
  return (
    <Modal opened onClose={onClose} title={title} transitionProps={{ duration: 0 }}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Text size="sm">{consequence}</Text>
          <Textarea
            label="Reason"
            description="Kept in the audit and in the rollout's history"
            maxLength={LONGEST_REASON}
            rows={3}
            data-autofocus
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          {error && <Failure error={error} doing={title} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" color={dangerous ? 'red' : undefined} loading={pending}>
              {confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Gives the focus back to what had it, when the dialog is gone. */
function useFocusBack(): void {
  useLayoutEffect(() => {
    const opener = document.activeElement;
    return () => {
      if (opener instanceof HTMLElement) requestAnimationFrame(() => opener.focus());
    };
  }, []);
}
