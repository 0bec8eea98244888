import { Group, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import type { ReactNode } from 'react';

interface PageProps {
  title: string;
  /** One line beside the title: a state, a count. */
  aside?: ReactNode;
  /** What this page is about, in a sentence. */
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: its one h1, what can be done, and the content below. */
export function Page({ title, aside, lead, actions, children }: PageProps) {
  useDocumentTitle(`${title} · Tidegate`);
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-start" gap="md">
        <Stack gap={2} style={{ minWidth: 0, flex: '1 1 20rem' }}>
          <Group gap="sm">
            <Title order={1}>{title}</Title>
            {aside}
          </Group>
          {lead !== undefined && (
            <Text size="sm" c="dimmed" component="div">
              {lead}
            </Text>
          )}
        </Stack>
        {actions}
      </Group>
      {children}
    </Stack>
  );
}
