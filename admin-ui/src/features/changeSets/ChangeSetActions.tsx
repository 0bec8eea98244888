import { Button, Group, Stack, Text } from '@mantine/core';
import { IconCheck, IconGitMerge, IconSend, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { ChangeSet } from '@/api/changeSets';
import { mayWrite, sessionQuery } from '@/api/session';
import { AbandonDialog, ApproveDialog, RebaseDialog } from './dialogs';
import { draftDiffQuery } from './draft';
import { PublishDialog } from './PublishDialog';
import { deletesRoutes, type Reviewer, reviewerOf } from './states';

interface ChangeSetActionsProps {
  fleet: string;
  changeSet: ChangeSet;
  head: number;
}

type Asked = 'approve' | 'rebase' | 'publish' | 'abandon';

const dialogs = { approve: ApproveDialog, rebase: RebaseDialog, publish: PublishDialog, abandon: AbandonDialog };

const reviewerWords: Record<Reviewer, string> = { editor: 'You edited it, so others approve it.', approver: 'You approved it.', other: '' };

/** What can be done with an open draft. Nobody approves or publishes what they have not been shown. */
export function ChangeSetActions({ fleet, changeSet, head }: ChangeSetActionsProps) {
  const { data: session } = useQuery(sessionQuery);
  const { data: diff } = useQuery(draftDiffQuery(fleet, changeSet, head));
  const [asked, setAsked] = useState<Asked>();
  if (session && !mayWrite(session)) {
    return (
      <Text size="xs" c="dimmed">
        Your role can read change sets, not approve or publish them.
      </Text>
    );
  }
  const reviewer = reviewerOf(changeSet, session?.subject);
  const shown = diff !== undefined;
  const Dialog = asked && dialogs[asked];
  return (
    <Stack gap={4} align="flex-end">
      <Group gap="xs" role="group" aria-label="Review the change set">
        <Button variant="light" color="red" leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setAsked('abandon')}>
          Abandon
        </Button>
        {(changeSet.base_revision ?? 0) < head && (
          <Button variant="default" leftSection={<IconGitMerge size={14} aria-hidden />} onClick={() => setAsked('rebase')}>
            Rebase
          </Button>
        )}
        {reviewer === 'other' && (
          <Button variant="default" disabled={!shown} leftSection={<IconCheck size={14} aria-hidden />} onClick={() => setAsked('approve')}>
            Approve
          </Button>
        )}
        <Button disabled={!shown} leftSection={<IconSend size={14} aria-hidden />} onClick={() => setAsked('publish')}>
          Publish
        </Button>
      </Group>
      {reviewer !== 'other' && (
        <Text size="xs" c="dimmed">
          {reviewerWords[reviewer]}
        </Text>
      )}
      {Dialog && <Dialog fleet={fleet} changeSet={changeSet} deletesRoutes={diff !== undefined && deletesRoutes(diff)} onClose={() => setAsked(undefined)} />}
    </Stack>
  );
}
