import { Text, Timeline } from '@mantine/core';
import type { Rollout, RolloutEvent } from '@/api/rollouts';
import { Empty } from '@/components/Notice';
import { Section } from '@/components/Section';
import { useNow } from '@/components/useNow';
import { clock, full } from '@/format/time';
import classes from './EventTimeline.module.css';

const colors: Record<string, string> = {
  completed: 'teal',
  rolled_back: 'red',
  aborted: 'red',
  gate: 'orange',
  held: 'orange',
  paused: 'yellow',
  awaiting_approval: 'violet',
};

/** What happened, the newest first. */
export function EventTimeline({ rollout }: { rollout: Rollout }) {
  const events = (rollout.events ?? []).toReversed();
  if (events.length === 0) {
    return (
      <Section title="Events">
        <Empty title="Nothing happened yet">Each step, gate and command is written down here.</Empty>
      </Section>
    );
  }
  return (
    <Section title="Events" note="the newest first">
      <Timeline active={events.length} bulletSize={10} lineWidth={2} role="list" aria-label="Events" classNames={{ item: classes['item'] ?? '' }}>
        {events.map((event, index) => (
          <Timeline.Item key={`${event.time} ${event.type} ${events.length - index}`} role="listitem" color={colors[event.type ?? ''] ?? 'tide'} title={<Heading event={event} />}>
            <Text size="xs" c="dimmed">
              {event.message}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
    </Section>
  );
}

function Heading({ event }: { event: RolloutEvent }) {
  const now = useNow();
  return (
    <Text size="sm" fw={560} component="div">
      {(event.type ?? '').replaceAll('_', ' ')}
      <Text span size="xs" c="dimmed" fw={400} ml={8} className="figures">
        <time dateTime={event.time} title={full(event.time)}>
          {clock(event.time, now)}
        </time>
        {event.actor !== undefined && event.actor !== '' && `, ${event.actor}`}
      </Text>
    </Text>
  );
}
