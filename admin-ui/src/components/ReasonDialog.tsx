import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { type SyntheticEvent, useState } from 'react';
import { Failure } from './Notice';
import { useFocusBack } from './useFocusBack';

/** The API takes no longer reason. */
const LONGEST_REASON = 1024;

interface Question {
  label: string;
  description: string;
}

const reasonQuestion: Question = { label: 'Reason', description: "Kept in the audit and in the rollout's history" };

interface ReasonDialogProps {
  title: string;
  /** What will happen, before it does. */
  consequence: string;
  confirm: string;
  /** What is asked for beside a yes; null asks for nothing. By default a reason. */
  question?: Question | null;
  /** It takes something away from users of the gateway. */
  dangerous?: boolean;
  pending: boolean;
  error: Error | null;
  onConfirm: (reason: string) => void;
  onClose: () => void;
}

/** Asks for a yes, and for a reason, which the audit keeps. Mount it to open it; it forgets everything when it is gone. */
export function ReasonDialog({ title, consequence, confirm, question = reasonQuestion, dangerous = false, pending, error, onConfirm, onClose }: ReasonDialogProps) {
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
          {question && (
            <Textarea
              {...question}
              maxLength={LONGEST_REASON}
              rows={3}
              data-autofocus
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
            />
          )}
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
