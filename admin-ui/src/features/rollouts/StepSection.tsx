import { Group, Progress, Text, VisuallyHidden } from '@mantine/core';
import { IconCheck, IconX } from '@tabler/icons-react';
import type { Rollout } from '@/api/rollouts';
import { Section } from '@/components/Section';
import { useNow } from '@/components/useNow';
import { count, percent } from '@/format/number';
import { duration } from '@/format/time';
import { bakeProgress, hasEnded, stepBake, stepDials, type StepProgress, stepProgress, stepsOf, type TakenStep } from './states';
import classes from './StepSection.module.css';

/** The steps as a line, and the two dials as they are now. */
export function StepSection({ rollout }: { rollout: Rollout }) {
  const steps = stepsOf(rollout);
  return (
    <Section title="Steps" note={<Judgement rollout={rollout} />}>
      <ol className={classes['line']} aria-label="Steps">
        {steps.map((step, index) => (
          // Steps have no name and never change their order.
          <StepItem key={index} index={index} step={step} rollout={rollout} />
        ))}
      </ol>
      {!hasEnded(rollout) && rollout.state !== 'queued' && <Dials rollout={rollout} />}
    </Section>
  );
}

function Judgement({ rollout: { spec } }: { rollout: Rollout }) {
  return (
    <>
      fails above {count2(spec?.tolerance ?? 1.1)} × the control, false alarms at most {percent((spec?.alpha ?? 0.01) * 100)}
    </>
  );
}

function count2(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 2 });
}

const words: Record<StepProgress, string> = { done: 'done', current: 'in progress', failed: 'failed here', ahead: 'to come', skipped: 'not reached' };

interface StepItemProps {
  index: number;
  step: TakenStep;
  rollout: Rollout;
}

function StepItem({ index, step, rollout }: StepItemProps) {
  const progress = stepProgress(rollout, index);
  return (
    <li className={classes['step']} data-progress={progress} aria-current={progress === 'current' ? 'step' : undefined}>
      <span className={classes['mark']} aria-hidden>
        {progress === 'done' ? <IconCheck size={13} stroke={2.6} /> : progress === 'failed' ? <IconX size={13} stroke={2.6} /> : index + 1}
      </span>
      <div>
        <Text size="sm" fw={progress === 'current' ? 620 : 500}>
          {stepDials(step)}
        </Text>
        <Text size="xs" c="dimmed">
          {stepBake(step)}
          {step.approval === true && ', after approval'}
        </Text>
        <VisuallyHidden>{words[progress]}</VisuallyHidden>
        {progress === 'current' && <Bake rollout={rollout} />}
      </div>
    </li>
  );
}

/** How long the present step is still watched. */
function Bake({ rollout }: { rollout: Rollout }) {
  const bake = bakeProgress(rollout, useNow());
  if (!bake) {
    return (
      <Text size="xs" c="dimmed" mt={4}>
        {rollout.state === 'running' ? 'until its agents serve it' : 'the clock stands'}
      </Text>
    );
  }
  const left = bake.left > 0 ? `${duration(bake.left + 999)} left` : 'deciding';
  return (
    <div className={classes['bake']}>
      <Progress value={bake.done * 100} size={4} aria-label={`Bake time: ${left}`} />
      <Text size="xs" c="dimmed" className="figures">
        {left}
      </Text>
    </div>
  );
}

function Dials({ rollout }: { rollout: Rollout }) {
  const agents = rollout.candidate_agents ?? 0;
  const total = rollout.total_agents ?? 0;
  const fleetShare = total === 0 ? 0 : (agents / total) * 100;
  const traffic = rollout.traffic_percent ?? 0;
  return (
    <Group className={classes['dials']} gap="xl" grow preventGrowOverflow={false}>
      <Dial label="Agents that hold the candidate" value={fleetShare} words={`${count(agents)} of ${count(total)}`} />
      <Dial label="Their traffic on the candidate" value={traffic} words={percent(traffic)} />
      <Dial label="Of the fleet, if agents share evenly" value={(fleetShare * traffic) / 100} words={percent((fleetShare * traffic) / 100)} />
    </Group>
  );
}

interface DialProps {
  label: string;
  /** In percent. */
  value: number;
  words: string;
}

function Dial({ label, value, words: shown }: DialProps) {
  return (
    <div className={classes['dial']}>
      <Group justify="space-between" gap="sm" wrap="nowrap" mb={4}>
        <Text size="xs" c="dimmed">
          {label}
        </Text>
        <Text size="sm" fw={600} className="figures" style={{ whiteSpace: 'nowrap' }}>
          {shown}
        </Text>
      </Group>
      <Progress value={value} size={6} color="var(--arm-candidate)" aria-label={`${label}: ${shown}`} />
    </div>
  );
}
