import { SegmentedControl, SimpleGrid } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Rollout } from '@/api/rollouts';
import { trafficQuery } from '@/api/telemetry';
import { LoadingTable } from '@/components/DataTable';
import { Empty, Failure } from '@/components/Notice';
import { Section } from '@/components/Section';
import { type Line, TimeChart } from '@/components/TimeChart';
import { useNow } from '@/components/useNow';
import { share, short } from '@/format/number';
import { instant } from '@/format/time';
import { type ErrorKind, errorKinds, spanOf, stretchOf, type Traffic, trafficOf } from './traffic';

interface TrafficSectionProps {
  fleet: string;
  rollout: Rollout;
}

/** What the two arms answered, side by side. */
export function TrafficSection({ fleet, rollout }: TrafficSectionProps) {
  const now = useNow();
  const stretch = stretchOf(instant(rollout.create_time) ?? now, instant(rollout.end_time), now);
  const span = spanOf(stretch.begin, now);
  const live = stretch.end + span.step * 2_000 > now;
  const { data, error, refetch } = useQuery(trafficQuery(fleet, span, live));
  const [kind, setKind] = useState<ErrorKind>('5xx');
  const traffic = data && trafficOf(data, span.step, stretch, kind);
  if (error) return <Failure error={error} doing="Loading the traffic" retry={() => void refetch()} />;
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
      <Section title="Requests a second">
        <Chart label="Requests a second" traffic={traffic} values={(arm) => traffic?.rate[arm] ?? []} format={short} />
      </Section>
      <Section title="Share of errors" note={<KindControl kind={kind} onChange={setKind} />}>
        <Chart label="Share of errors" traffic={traffic} values={(arm) => traffic?.errors[arm] ?? []} format={share} />
      </Section>
    </SimpleGrid>
  );
}

const kindWords: Record<ErrorKind, string> = { '5xx': '5xx', gateway: 'Made by the gateway' };

function KindControl({ kind, onChange }: { kind: ErrorKind; onChange: (kind: ErrorKind) => void }) {
  const data = errorKinds.map((value) => ({ value, label: kindWords[value] }));
  return <SegmentedControl size="xs" aria-label="Which answers are errors" data={data} value={kind} onChange={onChange} />;
}

interface ChartProps {
  label: string;
  traffic: Traffic | undefined;
  values: (arm: 'candidate' | 'stable') => (number | null)[];
  format: (value: number) => string;
}

function Chart({ label, traffic, values, format }: ChartProps) {
  if (!traffic) return <LoadingTable />;
  if (traffic.times.length < 2) return <Empty title="No requests to draw">Lines appear a few seconds after requests come.</Empty>;
  const lines: Line[] = [
    { label: 'stable', color: '--arm-stable', values: values('stable') },
    { label: 'candidate', color: '--arm-candidate', values: values('candidate') },
  ];
  return <TimeChart label={label} times={traffic.times} lines={lines} format={format} />;
}
