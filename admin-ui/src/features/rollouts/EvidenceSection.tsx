import { Button, Center, Table, Text } from '@mantine/core';
import { useState } from 'react';
import type { Evidence, Rollout } from '@/api/rollouts';
import { Empty } from '@/components/Notice';
import { Section } from '@/components/Section';
import { StateBadge } from '@/components/StateBadge';
import { count, magnitude, share } from '@/format/number';
import { metricWords, nearness, sortEvidence } from './evidence';
import classes from './EvidenceSection.module.css';
import { hasEnded } from './states';

/** Rows before "show all". */
const AT_FIRST = 8;

/** Each comparison of the candidate with the control at the same moment. */
export function EvidenceSection({ rollout }: { rollout: Rollout }) {
  const [all, setAll] = useState(false);
  const evidence = sortEvidence(rollout.evidence ?? []);
  const shown = all ? evidence : evidence.slice(0, AT_FIRST);
  return (
    <Section title="Evidence" note="bad requests of the candidate against the control's at the same moment" flush>
      {evidence.length === 0 ? (
        <NoEvidence rollout={rollout} />
      ) : (
        <Table.ScrollContainer minWidth={760} type="native">
          <Table aria-label="Evidence" className={classes['table']}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">Bad requests</Table.Th>
                <Table.Th scope="col">Candidate</Table.Th>
                <Table.Th scope="col">Control</Table.Th>
                <Table.Th scope="col">Evidence against the candidate</Table.Th>
                <Table.Th scope="col">Verdict</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {shown.map((each) => (
                <EvidenceRow key={`${each.metric} ${each.route}`} evidence={each} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {evidence.length > AT_FIRST && (
        <Center p="xs">
          <Button variant="subtle" onClick={() => setAll(!all)}>
            {all ? `Show the first ${AT_FIRST}` : `Show all ${count(evidence.length)}`}
          </Button>
        </Center>
      )}
    </Section>
  );
}

function EvidenceRow({ evidence }: { evidence: Evidence }) {
  return (
    <Table.Tr data-verdict={evidence.verdict}>
      <Table.Td>
        <Text size="sm" fw={560}>
          {metricWords(evidence.metric)}
        </Text>
        <Text size="xs" c="dimmed">
          {evidence.route === undefined || evidence.route === '' ? 'all routes' : `route ${evidence.route}`}
        </Text>
      </Table.Td>
      <Table.Td>
        <Share bad={evidence.candidate_bad} total={evidence.candidate_total} />
      </Table.Td>
      <Table.Td>
        <Share bad={evidence.control_bad} total={evidence.control_total} />
      </Table.Td>
      <Table.Td className={classes['weight']}>
        <EvidenceBar evidence={evidence} />
        <Text size="xs" c="dimmed" mt={2}>
          {evidence.explanation}
        </Text>
      </Table.Td>
      <Table.Td>
        <StateBadge state={evidence.verdict} />
      </Table.Td>
    </Table.Tr>
  );
}

function Share({ bad, total }: { bad: string | undefined; total: string | undefined }) {
  const of = Number(total ?? 0);
  return (
    <>
      <Text size="sm">{of === 0 ? '–' : share(Number(bad ?? 0) / of)}</Text>
      <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
        {count(bad)} of {count(total)}
      </Text>
    </>
  );
}

/** Evidence on its way to the threshold, on a scale of logarithms. */
function EvidenceBar({ evidence: { evidence, threshold, verdict } }: { evidence: Evidence }) {
  if ((threshold ?? 0) === 0) return null; // one arm lacks the route: there is no control to compare with
  const near = nearness(evidence, threshold);
  const words = `${magnitude(evidence ?? 0)} of ${magnitude(threshold ?? 0)}`;
  return (
    <div className={classes['bar']} role="meter" aria-label="Evidence" aria-valuemin={0} aria-valuemax={1} aria-valuenow={near} aria-valuetext={words}>
      <div className={classes['track']}>
        <div className={classes['fill']} data-verdict={verdict} style={{ width: `${near * 100}%` }} />
      </div>
      <span>{words}</span>
    </div>
  );
}

function NoEvidence({ rollout }: { rollout: Rollout }) {
  if (hasEnded(rollout)) return <Empty title="Nothing was compared">No request was answered while both revisions served side by side.</Empty>;
  return <Empty title="Nothing to compare yet">Evidence appears with the first requests that agents answer while both revisions serve.</Empty>;
}
