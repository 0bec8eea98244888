import { List, Text } from '@mantine/core';
import type { ChangeSet } from '@/api/changeSets';
import { Section } from '@/components/Section';
import { StateBadge } from '@/components/StateBadge';

/** How much can go wrong, and why. */
export function RiskSection({ risk }: { risk: ChangeSet['risk'] }) {
  const reasons = risk?.reasons ?? [];
  const weighed = risk?.class !== undefined && risk.class !== '';
  return (
    <Section title="Risk" note={weighed && <StateBadge state={risk.class} />}>
      {reasons.length > 0 ? (
        <List size="sm" aria-label="Reasons of the risk">
          {reasons.map((reason) => (
            <List.Item key={reason}>{reason}</List.Item>
          ))}
        </List>
      ) : (
        <Text size="sm" c="dimmed">
          {weighed ? 'Nothing in it asks for more care.' : 'It holds nothing that goes out in revisions, so it risks nothing.'}
        </Text>
      )}
    </Section>
  );
}
