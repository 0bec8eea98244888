import { Code, Stack, Table, Text } from '@mantine/core';
import type { Expectation, Rollout, ShadowDifference } from '@/api/rollouts';
import { CopyableCode } from '@/components/CopyableCode';
import { Empty } from '@/components/Notice';
import { Section } from '@/components/Section';
import { count } from '@/format/number';
import classes from './EvidenceSection.module.css';
import { decisionWords, expectFlag, shadowWords } from './shadow';
import { hasEnded } from './states';

/** What the candidate decided beside live requests before it served any; nothing is drawn for a rollout without such a step. */
export function ShadowSection({ rollout }: { rollout: Rollout }) {
  const shadow = rollout.shadow;
  if (!shadow) return null;
  const differences = shadow.differences ?? [];
  return (
    <Section title="Shadow" note={shadowWords(shadow)} flush>
      {differences.length === 0 ? <NoDifferences sampled={Number(shadow.sampled ?? 0)} over={hasEnded(rollout)} /> : <Differences differences={differences} />}
      <Proposals proposals={shadow.proposals ?? []} />
    </Section>
  );
}

function Differences({ differences }: { differences: ShadowDifference[] }) {
  return (
    <Table.ScrollContainer minWidth={640} type="native">
      <Table aria-label="Differences" className={classes['table']}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Requests</Table.Th>
            <Table.Th scope="col">Stable decided</Table.Th>
            <Table.Th scope="col">The candidate would decide</Table.Th>
            <Table.Th scope="col">Such as</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differences.map((each) => (
            <Table.Tr key={`${each.stable_route} ${each.stable_decision} ${each.candidate_route} ${each.candidate_decision}`}>
              <Table.Td>{count(each.requests)}</Table.Td>
              <Table.Td>{decisionWords(each.stable_decision, each.stable_route)}</Table.Td>
              <Table.Td fw={560}>{decisionWords(each.candidate_decision, each.candidate_route)}</Table.Td>
              <Table.Td>
                <Code>{each.example}</Code>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Proposals({ proposals }: { proposals: Expectation[] }) {
  if (proposals.length === 0) return null;
  return (
    <Stack gap={6} px="0.9rem" py="sm">
      <Text size="sm">If the change means this, say so when it is applied again; the percentages leave room for chance:</Text>
      <CopyableCode label="Copy the expectations">{proposals.map(expectFlag).join(' ')}</CopyableCode>
    </Stack>
  );
}

function NoDifferences({ sampled, over }: { sampled: number; over: boolean }) {
  if (sampled > 0) return <Empty title="No difference">The candidate would decide all of them as stable did.</Empty>;
  if (over) return <Empty title="Nothing was sampled">No request came while the candidate decided beside stable.</Empty>;
  return <Empty title="Nothing sampled yet">Differences appear with the first requests that the candidate decides beside stable.</Empty>;
}
