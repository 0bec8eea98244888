import { Code, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import type { FleetPolicy } from '@/api/fleets';
import { Section } from '@/components/Section';
import { percent, plural } from '@/format/number';
import { approvalWords, hostOf, newerWords, windowWords } from './policy';
import classes from './PolicySection.module.css';

/** What the control plane takes where a policy is silent. */
const defaultDeletePercent = 50;
const defaultRollbackWindow = 10;

/** What the fleet asks of those who change it. */
export function PolicySection({ policy = {} }: { policy: FleetPolicy | undefined }) {
  return (
    <Section title="Policy" note={<>set by administrators with <Code fz="xs">tidegate fleet policy</Code></>}>
      <dl className={classes['rules']} aria-label="Policy">
        <Rule name="Approvals">{approvalWords(policy)}</Rule>
        <Rule name="Freeze windows">
          <Lines none="none" lines={(policy.freeze_windows ?? []).map((window) => ({ name: window.name ?? '', words: windowWords(window) }))} />
        </Rule>
        <Rule name="Notifications">
          <Lines none="nobody is told" lines={(policy.notifications ?? []).map((told) => ({ name: told.name, words: notificationWords(told) }))} />
        </Rule>
        <Rule name="Deleting routes">more than {percent(policy.max_delete_percent ?? defaultDeletePercent)} at once must be said</Rule>
        <Rule name="A newer revision">{newerWords(policy)}</Rule>
        <Rule name="Going back">without steps by up to {plural(policy.rollback_window ?? defaultRollbackWindow, 'revision')}</Rule>
      </dl>
    </Section>
  );
}

type Notification = NonNullable<FleetPolicy['notifications']>[number];

function notificationWords({ url, events = [] }: Notification): string {
  const about = events.length === 0 ? '' : `, about ${events.map((event) => event.replaceAll('_', ' ')).join(', ')}`;
  return hostOf(url) + about;
}

function Rule({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Lines({ lines, none }: { lines: { name: string; words: string }[]; none: string }) {
  if (lines.length === 0) return none;
  return lines.map(({ name, words }) => (
    <div key={`${name} ${words}`}>
      {name}{' '}
      <Text span inherit c="dimmed">
        {words}
      </Text>
    </div>
  ));
}
