import { List, Text } from '@mantine/core';
import type { Approval, ChangeSet } from '@/api/changeSets';
import { Moment } from '@/components/Moment';
import { Section } from '@/components/Section';
import { count, plural } from '@/format/number';
import { approvalsMissing } from './states';

/** Who approved it as it is now, and how many the fleet asks for. */
export function ApprovalSection({ changeSet }: { changeSet: ChangeSet }) {
  const approvals = changeSet.approvals ?? [];
  return (
    <Section title="Approvals" note={<Count changeSet={changeSet} />}>
      {approvals.length > 0 && (
        <List size="sm" mb={4} aria-label="Approvals">
          {approvals.map((approval) => (
            <ApprovalItem key={approval.approver} approval={approval} />
          ))}
        </List>
      )}
      {changeSet.state === 'open' && <Editors editors={changeSet.editors ?? []} />}
    </Section>
  );
}

function Count({ changeSet }: { changeSet: ChangeSet }) {
  const given = (changeSet.approvals ?? []).length;
  const required = changeSet.approvals_required ?? 0;
  if (changeSet.state !== 'open') return <>{plural(given, 'person', 'people')}</>;
  if (required === 0) return <>{given === 0 ? 'none needed' : `${count(given)}, none needed`}</>;
  return (
    <Text inherit span fw={600} c={approvalsMissing(changeSet) > 0 ? 'orange' : 'teal'}>
      {count(given)} of {count(required)}
    </Text>
  );
}

function ApprovalItem({ approval: { approver, comment, time } }: { approval: Approval }) {
  return (
    <List.Item>
      <b>{approver}</b>{' '}
      <Text span inherit c="dimmed">
        <Moment time={time} />
      </Text>
      {comment !== undefined && comment !== '' && (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
          {comment}
        </Text>
      )}
    </List.Item>
  );
}

function Editors({ editors }: { editors: string[] }) {
  return (
    <Text size="xs" c="dimmed">
      {editors.length === 0 ? 'Nobody has edited it yet.' : `Edited by ${editors.join(', ')}, so others approve it. An edit takes all approvals back.`}
    </Text>
  );
}
