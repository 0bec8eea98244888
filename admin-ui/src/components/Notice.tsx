import { Alert, Button, Code, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactNode } from 'react';

interface EmptyProps {
  title: string;
  /** What to do about it. */
  children: ReactNode;
}

/** Nothing is here, and what would bring something. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <Stack gap={4} align="center" py="xl" px="md">
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" ta="center" component="div" maw="34rem">
        {children}
      </Text>
    </Stack>
  );
}

/** What an error carries that is worth showing; a problem of the API has all of it. */
interface Failing extends Error {
  detail?: string;
  requestId?: string;
  violations?: readonly { resource?: string; field?: string; rule: string; message: string }[];
}

interface FailureProps {
  error: Error;
  /** What was tried: "Loading agents". */
  doing: string;
  retry?: () => void;
}

/** What went wrong, every violation, the request id to look for in the log, and a way to try again. */
export function Failure({ error, doing, retry }: FailureProps) {
  const { detail, requestId, violations = [] } = error as Failing;
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={`${doing} failed`} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{explain(error, detail)}</Text>
        {violations.length > 0 && (
          <List size="sm">
            {violations.map((violation) => (
              <List.Item key={`${violation.resource} ${violation.field} ${violation.rule}`}>
                {[violation.resource, violation.field].filter(Boolean).join(' ')} {violation.message}
              </List.Item>
            ))}
          </List>
        )}
        {requestId !== undefined && requestId !== '' && (
          <Text size="xs" c="dimmed">
            Request <Code>{requestId}</Code>, by which the control plane&apos;s log knows it
          </Text>
        )}
        {retry && (
          <Button variant="outline" color="red" onClick={retry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function explain(error: Error, detail: string | undefined): string {
  if (detail !== undefined && detail !== '') return `${error.message}: ${detail}`;
  // What browsers throw when no connection came about is a TypeError, with words that differ and help nobody.
  if (error instanceof TypeError) return 'The control plane does not answer. Is it running, and reachable from here?';
  return error.message;
}
