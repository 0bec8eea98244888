import { List, Text } from '@mantine/core';
import { percent } from '@/format/number';
import { Section } from './Section';

/** What a change means to refuse on one route. */
export interface Expectation {
  route: string;
  /** Why the gateway will answer by itself: "key_missing". */
  reason: string;
  max_percent?: number;
}

/** Refusals that a change means to bring about; nothing is drawn if there are none. */
export function Expectations({ expectations }: { expectations: Expectation[] | undefined }) {
  if (expectations === undefined || expectations.length === 0) return null;
  return (
    <Section title="Expectations" note="refusals that the change means to bring about, and is not taken back for">
      <List size="sm" aria-label="Expectations">
        {expectations.map(({ route, reason, max_percent }) => (
          <List.Item key={`${route} ${reason}`}>
            {reason.replaceAll('_', ' ')} on route {route}{' '}
            <Text span inherit c="dimmed">
              for up to {percent(max_percent)} of its requests
            </Text>
          </List.Item>
        ))}
      </List>
    </Section>
  );
}
