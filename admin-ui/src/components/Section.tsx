import { Group, Paper, Text, Title } from '@mantine/core';
import { type ReactNode, useId } from 'react';
import classes from './Section.module.css';

interface SectionProps {
  title: string;
  note?: ReactNode;
  /** The content reaches the border, as tables do. */
  flush?: boolean;
  children: ReactNode;
}

/** A titled box, which screen readers find as a region. */
export function Section({ title, note, flush = false, children }: SectionProps) {
  const id = useId();
  return (
    <Paper component="section" aria-labelledby={id} className={classes['section']}>
      <Group justify="space-between" gap="sm" className={classes['head']}>
        <Title order={2} id={id}>
          {title}
        </Title>
        {note !== undefined && (
          <Text size="xs" c="dimmed" component="div">
            {note}
          </Text>
        )}
      </Group>
      <div className={flush ? undefined : classes['body']}>{children}</div>
    </Paper>
  );
}
