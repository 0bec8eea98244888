import { Alert, Anchor, Badge, SimpleGrid, Stack, Text, VisuallyHidden } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Rollout } from '@/api/rollouts';
import { LoadingTable } from '@/components/DataTable';
import { Expectations } from '@/components/Expectations';
import { Moment } from '@/components/Moment';
import { Failure } from '@/components/Notice';
import { Page } from '@/components/Page';
import { StateBadge, stateWords } from '@/components/StateBadge';
import { count } from '@/format/number';
import { firstLine } from '@/format/text';
import { EventTimeline } from './EventTimeline';
import { EvidenceSection } from './EvidenceSection';
import { GateSection } from './GateSection';
import { RolloutActions } from './RolloutActions';
import { RolloutAgents } from './RolloutAgents';
import { ShadowSection } from './ShadowSection';
import { StepSection } from './StepSection';
import { hasEnded } from './states';
import { TrafficSection } from './TrafficSection';
import { type Feed, useRolloutWatch } from './useRolloutWatch';

interface RolloutPageProps {
  fleet: string;
  id: string;
}

/** One rollout, live: where it is, what it is judged by, and the buttons that steer it. */
export function RolloutPage({ fleet, id }: RolloutPageProps) {
  const { data: rollout, error, refetch, feed } = useRolloutWatch(fleet, id);
  if (!rollout) {
    return <Page title="Rollout">{error ? <Failure error={error} doing="Loading the rollout" retry={() => void refetch()} /> : <LoadingTable rows={8} />}</Page>;
  }
  return (
    <Page
      title={`Rollout of revision ${count(rollout.revision)}`}
      aside={<StateBadge state={rollout.state} />}
      lead={<Lead fleet={fleet} rollout={rollout} feed={feed} />}
      actions={<RolloutActions fleet={fleet} rollout={rollout} />}
    >
      <VisuallyHidden role="status">
        The rollout is {stateWords(rollout.state)}. {rollout.reason}
      </VisuallyHidden>
      <Stack gap="sm">
        {error && <Failure error={error} doing="Keeping this page up to date" retry={() => void refetch()} />}
        <Reason rollout={rollout} />
        <StepSection rollout={rollout} />
        <ShadowSection rollout={rollout} />
        <TrafficSection fleet={fleet} rollout={rollout} />
        <EvidenceSection rollout={rollout} />
        <GateSection rollout={rollout} />
        <Expectations expectations={rollout.expectations} />
        <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="sm" style={{ alignItems: 'start' }}>
          <RolloutAgents rollout={rollout} />
          <EventTimeline rollout={rollout} />
        </SimpleGrid>
      </Stack>
    </Page>
  );
}

const feedWords: Record<Feed, string> = { stream: 'live', polling: 'each second', ended: 'ended' };

function Lead({ fleet, rollout, feed }: { fleet: string; rollout: Rollout; feed: Feed }) {
  const revision = rollout.revision ?? 0;
  return (
    <>
      <Anchor inherit renderRoot={(props) => <Link to="/fleets/$fleet/revisions/$revision" params={{ fleet, revision }} {...props} />}>
        {firstLine(rollout.message) || 'What changes'}
      </Anchor>{' '}
      · by {rollout.author ?? 'nobody'} · <Moment time={rollout.create_time} /> · strategy {rollout.strategy}{' '}
      {feed !== 'ended' && (
        <Badge variant="outline" color={feed === 'stream' ? 'teal' : 'gray'} size="xs" data-feed={feed}>
          {feedWords[feed]}
        </Badge>
      )}
    </>
  );
}

const alarming: Record<string, string> = { rolled_back: 'red', aborted: 'red', held: 'orange', awaiting_approval: 'violet', paused: 'yellow' };

/** Why it is in its state, when that is more than that it goes on. */
function Reason({ rollout }: { rollout: Rollout }) {
  if (rollout.reason === undefined || rollout.reason === '') return null;
  const color = alarming[rollout.state ?? ''];
  if (color === undefined && !hasEnded(rollout)) {
    return (
      <Text size="sm" c="dimmed">
        {rollout.reason}
      </Text>
    );
  }
  return (
    <Alert color={color ?? 'teal'} variant="light" p="xs">
      <Text size="sm">{rollout.reason}</Text>
    </Alert>
  );
}
