import { Alert, Badge, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconCheck, IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ChangeSet, Review } from '@/api/changeSets';
import { Failure } from '@/components/Notice';
import { Section } from '@/components/Section';
import { plural } from '@/format/number';
import { draftReviewQuery } from './draft';

interface CheckSectionProps {
  fleet: string;
  changeSet: ChangeSet;
  head: number;
}

/** What keeps a draft from being published, and what looks wrong but may be meant. */
export function CheckSection({ fleet, changeSet, head }: CheckSectionProps) {
  const { data, error, refetch } = useQuery(draftReviewQuery(fleet, changeSet, head));
  return (
    <Section title="Checks" note={data && summary(data)}>
      {error && <Failure error={error} doing="Checking the change set" retry={() => void refetch()} />}
      {!data && !error && (
        <Text size="sm" c="dimmed" role="status">
          It is being checked…
        </Text>
      )}
      {data && <Findings review={data} />}
    </Section>
  );
}

function summary({ violations = [], warnings = [] }: Review): string {
  if (violations.length + warnings.length === 0) return 'nothing found';
  return [violations.length > 0 && plural(violations.length, 'violation'), warnings.length > 0 && plural(warnings.length, 'warning')].filter(Boolean).join(', ');
}

function Findings({ review: { violations = [], warnings = [] } }: { review: Review }) {
  return (
    <Stack gap="xs">
      {violations.length === 0 && (
        <Alert role="note" color="teal" variant="light" p="xs" icon={<IconCheck size={16} />}>
          <Text size="sm">It breaks no rule, and nothing that it touches changed since it was opened.</Text>
        </Alert>
      )}
      {violations.length > 0 && (
        <Alert role="note" color="red" variant="light" p="xs" icon={<IconX size={16} />} title="It cannot be published as it is">
          <List size="sm" aria-label="Violations">
            {violations.map(({ resource, field, rule, message }) => (
              <List.Item key={`${resource} ${field} ${rule} ${message}`}>
                <b>{[resource, field].filter(Boolean).join(' ')}</b> {message}{' '}
                <Badge variant="outline" color="gray" size="xs">
                  {rule}
                </Badge>
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {warnings.length > 0 && (
        <Alert role="note" color="yellow" variant="light" p="xs" icon={<IconAlertTriangle size={16} />} title="It looks wrong, but may be meant">
          <List size="sm" aria-label="Warnings">
            {warnings.map(({ resource, message }) => (
              <List.Item key={`${resource} ${message}`}>
                <b>{resource}</b> {message}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
    </Stack>
  );
}
