import { Badge, Code, Group, Paper, Table, Text } from '@mantine/core';
import { useState } from 'react';
import { plural } from '@/format/number';
import { ChangeCounts } from './ChangeCounts';
import classes from './DiffView.module.css';
import { fieldsOf, type ResourceChange } from './fields';
import { MoreButton } from './MoreButton';
import { Empty } from './Notice';
import { Section } from './Section';

/** An import changes thousands of resources: so many are drawn at first, and with each press of a button. */
const AT_ONCE = 50;

interface Diff {
  changes?: ResourceChange[];
  created?: number;
  updated?: number;
  deleted?: number;
}

interface DiffViewProps {
  diff: Diff;
  /** What it is compared with: "revision 3". */
  against: string;
  /** Said when nothing changes. */
  unchanged: string;
}

/** What changed, resource by resource and field by field. */
export function DiffView({ diff, against, unchanged }: DiffViewProps) {
  const [most, setMost] = useState(AT_ONCE);
  const changes = diff.changes ?? [];
  return (
    <Section title="Changes" note={<Group gap="sm"><span>against {against}</span><ChangeCounts {...diff} /></Group>}>
      {changes.length === 0 ? (
        <Empty title="Nothing changed">{unchanged}</Empty>
      ) : (
        <div className={classes['changes']}>
          {changes.slice(0, most).map((change) => (
            <Change key={`${change.kind}/${change.name}`} change={change} />
          ))}
          <MoreButton shown={changes.length > most} loading={false} onClick={() => setMost(most + AT_ONCE)} />
        </div>
      )}
    </Section>
  );
}

const actions: Record<string, { color: string; words: string }> = {
  create: { color: 'teal', words: 'created' },
  update: { color: 'yellow', words: 'changed' },
  delete: { color: 'red', words: 'deleted' },
};

function Change({ change }: { change: ResourceChange }) {
  const action = actions[change.action ?? ''];
  const fields = fieldsOf(change);
  return (
    <Paper className={classes['change']} component="article" aria-label={`${change.kind} ${change.name}`}>
      <Group gap="sm" className={classes['name']}>
        <Badge color={action?.color ?? 'gray'}>{action?.words ?? change.action}</Badge>
        <Text size="sm" fw={560}>
          <Text span c="dimmed" inherit>
            {change.kind}/
          </Text>
          {change.name}
        </Text>
        <Text size="xs" c="dimmed">
          {plural(fields.length, 'field')}
        </Text>
      </Group>
      <Table layout="fixed" className={classes['fields']}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Field</Table.Th>
            <Table.Th scope="col">Before</Table.Th>
            <Table.Th scope="col">After</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {fields.map((field) => (
            <Table.Tr key={field.path}>
              <Table.Td>
                <Code className={classes['path']}>{field.path}</Code>
              </Table.Td>
              <Table.Td className={classes['before']}>{field.before}</Table.Td>
              <Table.Td className={classes['after']}>{field.after}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Paper>
  );
}
