import { Group, Text } from '@mantine/core';
import { count } from '@/format/number';

interface ChangeCountsProps {
  created?: number;
  updated?: number;
  deleted?: number;
}

/** How many resources a change makes, changes and deletes. */
export function ChangeCounts({ created = 0, updated = 0, deleted = 0 }: ChangeCountsProps) {
  if (created + updated + deleted === 0) return <>none</>;
  return (
    <Group gap={8} wrap="nowrap" className="figures">
      <Part value={created} sign="+" word="created" color="teal" />
      <Part value={updated} sign="~" word="changed" color="yellow.8" />
      <Part value={deleted} sign="−" word="deleted" color="red" />
    </Group>
  );
}

function Part({ value, sign, word, color }: { value: number; sign: string; word: string; color: string }) {
  if (value === 0) return null;
  return (
    <Text size="sm" c={color} title={`${count(value)} ${word}`} aria-label={`${count(value)} ${word}`} role="img">
      {sign}
      {count(value)}
    </Text>
  );
}
