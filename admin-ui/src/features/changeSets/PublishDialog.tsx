import { Alert, Button, Group, Modal, Select, Stack, Text, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type SyntheticEvent, useState } from 'react';
import { publishChangeSet, type PublishOptions } from '@/api/changeSets';
import type { PublishResponse } from '@/api/revisions';
import { mayOverride, sessionQuery } from '@/api/session';
import { strategiesQuery, strategyLabel } from '@/api/strategies';
import { Failure } from '@/components/Notice';
import { useFocusBack } from '@/components/useFocusBack';
import { count, plural } from '@/format/number';
import type { ChangeSetDialogProps } from './dialogs';
import { PublishExceptions } from './PublishExceptions';
import { approvalsMissing } from './states';
import { useChangeSetWrite } from './useChangeSetWrite';

interface Choice {
  strategy: string;
  options: PublishOptions;
}

/** Asks how a change set goes out. Mount it to open it; it forgets everything when it is gone. */
export function PublishDialog({ fleet, changeSet, deletesRoutes, onClose }: ChangeSetDialogProps) {
  const [{ strategy, options }, setChoice] = useState<Choice>({ strategy: '', options: {} });
  const { data: session } = useQuery(sessionQuery);
  const navigate = useNavigate();
  useFocusBack();
  const publish = useChangeSetWrite(fleet, changeSet, (seen, choice: Choice) => publishChangeSet(seen, choice.strategy, choice.options), async (made) => {
    onClose();
    notifications.show({ color: 'teal', message: told(made) });
    const rollout = made.rollout ?? '';
    if (rollout !== '') await navigate({ to: '/fleets/$fleet/rollouts/$rollout', params: { fleet, rollout } });
  });
  const setOptions = (more: PublishOptions) => setChoice({ strategy, options: { ...options, ...more } });
  const exceptional = options.emergency === true || options.override_freeze === true;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    publish.mutate({ strategy: options.emergency ? '' : strategy, options: { ...options, reason: options.reason?.trim() ?? '' } });
  };
  return (
    <Modal opened onClose={onClose} title="Publish the change set" transitionProps={{ duration: 0 }}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Text size="sm">All of it becomes one revision, which a rollout takes to traffic.</Text>
          <Missing missing={options.emergency ? 0 : approvalsMissing(changeSet)} />
          <StrategySelect fleet={fleet} disabled={options.emergency === true} value={strategy} onChange={(chosen) => setChoice({ strategy: chosen, options })} />
          <Textarea
            label="Reason"
            description="Kept in the audit"
            required={exceptional}
            maxLength={1024}
            rows={2}
            value={options.reason ?? ''}
            onChange={(event) => setOptions({ reason: event.currentTarget.value })}
          />
          <PublishExceptions options={options} deletesRoutes={deletesRoutes} administrator={mayOverride(session)} onChange={setOptions} />
          {publish.error && <Failure error={publish.error} doing="Publishing" />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" color={options.emergency ? 'red' : undefined} loading={publish.isPending}>
              Publish
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Missing({ missing }: { missing: number }) {
  if (missing === 0) return null;
  return (
    <Alert role="note" color="orange" variant="light" p="xs">
      <Text size="sm">{plural(missing, 'approval is', 'approvals are')} missing, so the control plane will refuse.</Text>
    </Alert>
  );
}

interface StrategySelectProps {
  fleet: string;
  disabled: boolean;
  value: string;
  onChange: (strategy: string) => void;
}

function StrategySelect({ fleet, disabled, value, onChange }: StrategySelectProps) {
  const { data: strategies = [] } = useQuery(strategiesQuery(fleet));
  const usual = strategies.find((strategy) => strategy.is_default)?.name;
  const choices = [
    { value: '', label: usual === undefined ? "The fleet's own" : `The fleet's own: ${usual}` },
    ...strategies.map((strategy) => ({ value: strategy.name ?? '', label: strategyLabel(strategy) })),
  ];
  return <Select label="Strategy" data={choices} disabled={disabled} value={value} allowDeselect={false} onChange={(chosen) => onChange(chosen ?? '')} />;
}

function told({ revision = 0 }: PublishResponse): string {
  return revision === 0 ? 'It is published; nothing that goes out in revisions changed' : `Revision ${count(revision)} is on its way`;
}
