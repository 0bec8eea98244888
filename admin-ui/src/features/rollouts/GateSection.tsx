import { Badge, Group, Table, Text } from '@mantine/core';
import type { GateResult, Rollout } from '@/api/rollouts';
import { Moment } from '@/components/Moment';
import { Section } from '@/components/Section';
import { StateBadge } from '@/components/StateBadge';
import classes from './EvidenceSection.module.css';

/** What the strategy's own gates said last; nothing is drawn for a strategy without any. */
export function GateSection({ rollout }: { rollout: Rollout }) {
  const gates = rollout.gates ?? [];
  const required = new Set(rollout.spec?.gates?.filter((gate) => gate.required).map((gate) => gate.name));
  if (gates.length === 0) return null;
  return (
    <Section title="Gates" note="conditions of the strategy, beside the comparison" flush>
      <Table.ScrollContainer minWidth={560} type="native">
        <Table aria-label="Gates" className={classes['table']}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Gate</Table.Th>
              <Table.Th scope="col">What it says</Table.Th>
              <Table.Th scope="col">When</Table.Th>
              <Table.Th scope="col">Verdict</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {gates.map((gate) => (
              <GateRow key={gate.name} gate={gate} required={required.has(gate.name ?? '')} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Section>
  );
}

function GateRow({ gate, required }: { gate: GateResult; required: boolean }) {
  const acts = gate.dry_run !== true;
  return (
    <Table.Tr data-verdict={acts ? gate.verdict : undefined}>
      <Table.Td>
        <Group gap={6}>
          <Text size="sm" fw={560}>
            {gate.name}
          </Text>
          {!acts && <Badge color="gray" title="It reports, and does not act">dry run</Badge>}
          {required && <Badge color="violet" title="No step ends before it has passed">required</Badge>}
        </Group>
      </Table.Td>
      <Table.Td>{gate.explanation}</Table.Td>
      <Table.Td>
        <Moment time={gate.time} />
      </Table.Td>
      <Table.Td>
        <StateBadge state={gate.verdict} />
      </Table.Td>
    </Table.Tr>
  );
}
