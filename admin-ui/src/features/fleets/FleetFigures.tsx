import { Anchor, Paper, SimpleGrid, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Fleet } from '@/api/fleets';
import { count } from '@/format/number';

/** The fleet in four figures. */
export function FleetFigures({ fleet }: { fleet: Fleet }) {
  const connected = fleet.agents_connected ?? 0;
  const total = fleet.agents_total ?? 0;
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
      <Figure label="Agents connected" value={`${count(connected)} of ${count(total)}`} alarming={connected < total} />
      <Figure label="Stable revision" value={<RevisionLink fleet={fleet.name} number={fleet.stable_revision} />} note="what has proved itself" />
      <Figure label="Head revision" value={<RevisionLink fleet={fleet.name} number={fleet.head_revision} />} note="what an edit starts from" />
      <Figure label="Fast lane" value={count(fleet.lane_sequence)} note="consumers and keys, by sequence" />
    </SimpleGrid>
  );
}

interface FigureProps {
  label: string;
  value: ReactNode;
  note?: string;
  alarming?: boolean;
}

function Figure({ label, value, note, alarming = false }: FigureProps) {
  return (
    <Paper px="md" py="sm">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text fz="1.25rem" fw={600} className="figures" c={alarming ? 'red' : undefined} component="div">
        {value}
      </Text>
      <Text size="xs" c="dimmed">
        {note ?? ' '}
      </Text>
    </Paper>
  );
}

function RevisionLink({ fleet, number = 0 }: { fleet: string; number: number | undefined }) {
  if (number === 0) return <>none</>;
  return (
    <Anchor inherit renderRoot={(props) => <Link to="/fleets/$fleet/revisions/$revision" params={{ fleet, revision: number }} {...props} />}>
      {count(number)}
    </Anchor>
  );
}
